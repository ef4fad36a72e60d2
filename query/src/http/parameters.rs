//! Parameters and headers of a request, read strictly.

use std::time::Duration;

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderName, Uri},
};
use ledger::BusinessDate;
use protocol::position::PositionError;
use service::problem::{Problem, kinds};
use tokio::time::Instant;

use crate::reader::Wants;

/// Names the position that the answer must cover.
pub(super) const MIN_POSITION: HeaderName = HeaderName::from_static("saldo-min-position");
/// Milliseconds to wait for it.
pub(super) const WAIT_MS: HeaderName = HeaderName::from_static("saldo-wait-ms");
const DEFAULT_WAIT_MS: u64 = 2_000;
const MAX_WAIT_MS: u64 = 10_000;
const DEFAULT_LIMIT: u16 = 100;
/// Most items of a page.
const MAX_LIMIT: u16 = 1_000;
/// Most days of a range.
pub(super) const MAX_RANGE_DAYS: i32 = 366;

/// The parameters of a query string, each at most once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

fn those(known: &[&str]) -> String {
    if known.is_empty() { "none is".to_owned() } else { format!("known are: {}", known.join(", ")) }
}

impl Parameters {
    /// Reads them; every one must be among `known`.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(Self(Vec::new()));
        }
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Err(invalid("the query string cannot be read"));
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(invalid(format!("the parameter {name:?} is not known here; {}", those(known))));
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(format!("the parameter {name} is given twice")));
            }
        }
        Ok(Self(pairs))
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A date that must be given.
    pub(super) fn date(&self, name: &'static str) -> Result<BusinessDate, Problem> {
        let text = self.text(name).ok_or_else(|| invalid(format!("the parameter {name} is missing")))?;
        BusinessDate::parse(text).map_err(|error| invalid(format!("{name}: {error}")))
    }

    /// `true` or `false`; absent is `false`.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(format!("{name} is true or false"))),
        }
    }

    /// Most items of the page.
    pub(super) fn limit(&self) -> Result<u16, Problem> {
        let Some(text) = self.text("limit") else { return Ok(DEFAULT_LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| invalid(format!("limit is a whole number from 1 to {MAX_LIMIT}")))
    }
}

/// The demanded position and the patience for it.
pub(super) fn wants(headers: &HeaderMap) -> Result<Wants, Problem> {
    let position = header(headers, &MIN_POSITION)?.map(str::parse).transpose().map_err(position_invalid)?;
    let wait_ms =
        header(headers, &WAIT_MS)?.map_or(Some(DEFAULT_WAIT_MS), whole_number).filter(|ms| *ms <= MAX_WAIT_MS);
    let wait_ms = wait_ms
        .ok_or_else(|| invalid(format!("Saldo-Wait-Ms is a whole number of milliseconds up to {MAX_WAIT_MS}")))?;
    Ok(Wants { position, deadline: Instant::now() + Duration::from_millis(wait_ms) })
}

fn whole_number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A header's text, given at most once.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(format!("the header {name} is given twice")));
    }
    value.to_str().map(Some).map_err(|_| invalid(format!("the header {name} cannot be read")))
}

fn position_invalid(error: PositionError) -> Problem {
    let kind = match error {
        PositionError::Malformed => kinds::POSITION_INVALID,
        PositionError::WithoutIncarnation => kinds::POSITION_GONE,
    };
    Problem::new(kind, error.to_string())
}

/// A parameter that cannot be used.
pub(super) fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(kinds::PARAMETER_INVALID, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, Problem> {
        Parameters::read(&format!("/x?{query}").parse().unwrap(), &["from", "limit", "cursor", "include_empty"])
    }

    #[test]
    fn unknown_and_doubled_parameters_are_refused() {
        assert!(read("").is_ok());
        assert!(read("from=2026-01-01&limit=5").is_ok());
        for bad in ["form=2026-01-01", "from=2026-01-01&from=2026-01-02", "=1", "From=2026-01-01"] {
            assert_eq!(read(bad).unwrap_err().kind, kinds::PARAMETER_INVALID, "{bad}");
        }
    }

    #[test]
    fn values_have_bounds() {
        for (query, good) in [("limit=1", true), ("limit=1000", true), ("limit=0", false), ("limit=1001", false)] {
            assert_eq!(read(query).unwrap().limit().is_ok(), good, "{query}");
        }
        assert!(read("limit=-1").unwrap().limit().is_err());
        assert!(read("limit=").unwrap().limit().is_err());
        assert!(read("from=2026-02-30").unwrap().date("from").is_err());
        assert!(read("").unwrap().date("from").is_err());
        assert!(read("include_empty=yes").unwrap().flag("include_empty").is_err());
        assert!(read("include_empty=true").unwrap().flag("include_empty").unwrap());
    }

    #[test]
    fn waits_have_bounds() {
        let wants = |pairs: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(name, value.parse().unwrap());
            }
            super::wants(&headers).map_err(|problem| problem.kind.slug)
        };
        assert!(wants(&[(WAIT_MS, "10000"), (MIN_POSITION, "1.0a1b2c3d.0.5")]).unwrap().position.is_some());
        assert!(wants(&[]).unwrap().position.is_none());
        for bad in ["10001", "-1", "", "+5", "1e3", "5.0", "99999999999999999999"] {
            assert_eq!(wants(&[(WAIT_MS, bad)]).unwrap_err(), "parameter_invalid", "{bad}");
        }
        for bad in ["", "1", "1.2", "a.b.c", "1.0.-5", "01.0.5", "1.0.5-", "1.0.5-0.6", "300.0.1", "1.0a1b2c3d.9999.1"]
        {
            assert_eq!(wants(&[(MIN_POSITION, bad)]).unwrap_err(), "position_invalid", "{bad}");
        }
        assert_eq!(wants(&[(MIN_POSITION, "1.0.5")]).unwrap_err(), "position_gone");
        assert_eq!(wants(&[(MIN_POSITION, "1.0.5"), (MIN_POSITION, "1.0.6")]).unwrap_err(), "parameter_invalid");
    }
}
