//! The file: `[[rule]]` tables, several for one tenant.
//!
//! ```toml
//! [[rule]]
//! tenant = "acme"
//! zone = "America/Sao_Paulo"   # default "UTC"
//! zone_version = "0123456789abcdef" # which data of the zone; needless for UTC and Etc/…
//! cut_off = "04:00"            # default "00:00"
//! effective_from = 2026-12-01  # default: always
//! ```

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use ledger::{BusinessDate, Calendar, CalendarRule, NoVersion, Tenant, ZoneVersion};
use serde::Deserialize;
use toml::{Spanned, value::Datetime};

/// Rules by tenant, sorted by date, with the calendar that they make.
pub(super) type Rules = BTreeMap<Tenant, (Vec<CalendarRule>, Calendar)>;

/// Far more than any number of tenants that one file can sensibly hold.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// It cannot be read.
    #[error("cannot read the tenants file {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line has a mistake.
    #[error("the tenants file {path}, line {line}: {message}")]
    Mistake {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    tenant: Spanned<String>,
    zone: Option<Spanned<String>>,
    zone_version: Option<Spanned<String>>,
    cut_off: Option<Spanned<String>>,
    effective_from: Option<Spanned<DateOrText>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DateOrText {
    Date(Datetime),
    Text(String),
}

/// A mistake at a byte of the text.
struct Mistake {
    at: usize,
    message: String,
}

pub(super) fn read(path: &Path) -> Result<Rules, TenantsError> {
    let unreadable = |error| TenantsError::Unreadable { path: path.to_owned(), error };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        let message = format!("it has more than {MAX_FILE_BYTES} bytes");
        return Err(unreadable(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message)));
    }
    parse(&text).map_err(|mistake| {
        let before = text.as_bytes().get(..mistake.at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        TenantsError::Mistake { path: path.to_owned(), line, message: mistake.message }
    })
}

fn parse(text: &str) -> Result<Rules, Mistake> {
    let file: File = toml::from_str(text).map_err(|error| Mistake {
        at: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
    })?;
    let mut by_tenant: BTreeMap<Tenant, (usize, Vec<CalendarRule>)> = BTreeMap::new();
    for rule in file.rule {
        let at = rule.span().start;
        let (tenant, rule) = checked(rule.into_inner())?;
        let rules = by_tenant.entry(tenant).or_default();
        rules.0 = at;
        rules.1.push(rule);
    }
    by_tenant.into_iter().map(|(tenant, (at, rules))| Ok((tenant, with_calendar(at, rules)?))).collect()
}

fn with_calendar(at: usize, mut rules: Vec<CalendarRule>) -> Result<(Vec<CalendarRule>, Calendar), Mistake> {
    rules.sort_by_key(|rule| rule.effective_from);
    let calendar = Calendar::new(rules.clone()).map_err(|error| Mistake { at, message: error.to_string() })?;
    Ok((rules, calendar))
}

fn checked(rule: Rule) -> Result<(Tenant, CalendarRule), Mistake> {
    let tenant = Tenant::parse(rule.tenant.get_ref())
        .map_err(|error| Mistake { at: rule.tenant.span().start, message: error.to_string() })?;
    let checked = CalendarRule {
        effective_from: rule.effective_from.map_or(Ok(BusinessDate::MIN), date)?,
        zone: rule.zone.as_ref().map_or("UTC", |zone| zone.get_ref()).to_owned(),
        zone_version: rule.zone_version.as_ref().map(zone_version).transpose()?,
        cut_off_minutes: rule.cut_off.as_ref().map_or(Ok(0), minutes)?,
    };
    // Checked alone first, so that the mistake is told at its own line.
    Calendar::new(vec![checked.clone()]).map_err(|error| Mistake {
        at: rule.zone.map_or(rule.tenant.span().start, |zone| zone.span().start),
        message: error.to_string(),
    })?;
    Ok((tenant, checked))
}

fn date(given: Spanned<DateOrText>) -> Result<BusinessDate, Mistake> {
    let at = given.span().start;
    let text = match given.into_inner() {
        DateOrText::Date(date) => date.to_string(),
        DateOrText::Text(text) => text,
    };
    BusinessDate::parse(&text).map_err(|error| Mistake { at, message: format!("effective_from: {error}") })
}

fn zone_version(given: &Spanned<String>) -> Result<ZoneVersion, Mistake> {
    let mistake = |error: NoVersion| Mistake { at: given.span().start, message: format!("zone_version: {error}") };
    given.get_ref().parse().map_err(mistake)
}

fn minutes(given: &Spanned<String>) -> Result<u16, Mistake> {
    let at = given.span().start;
    let message = || "cut_off is a time of day written HH:MM".to_owned();
    read_minutes(given.get_ref()).ok_or_else(|| Mistake { at, message: message() })
}

fn read_minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, below: u16| -> Option<u16> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| plain && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}
