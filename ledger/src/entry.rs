//! Lines: what a caller posts, and what stands on the log.
//!
//! | rule | |
//! |---|---|
//! | `null` in a field that Saldo reads | the same as if the field were absent; in other fields it is kept |
//! | keys | none twice in one object, at any depth, compared unescaped |
//! | depth | the line is the first level; at most [`MAX_DEPTH`] levels |
//! | amount | a JSON string with a plain decimal, or a JSON number |
//! | `occurred_at` | RFC 3339 with an offset, kept as given |
//! | `kind`, `currency`, `type` | case counts |

mod object;
mod plain;
mod time;
mod wire;

use std::borrow::Cow;

use object::{Field, Object};

use crate::content::{Member, Parts, encode_members};
use crate::{
    Account, Amount, BusinessDate, Content, Currency, Digest, Fingerprint, FingerprintSecret, Invalid, Kind, LaunchId,
    MoneyError, Reason, Tenant,
};

/// The longest line, in bytes, without its line feed.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// The deepest nesting of JSON in a line.
pub const MAX_DEPTH: usize = 16;

const MAX_DESCRIPTION_CHARACTERS: usize = 1_024;
const MAX_CATEGORY_CHARACTERS: usize = 64;

/// The `type` of launches; it may be left out.
const LAUNCH_TYPE: &str = "launch";

/// Fields that callers may not set, besides `type` and `tenant`: what lists of launches add to each of them, and what entries of
/// other types will hold. On the log they mean nothing, so that a launch which has one, published there by hand, counts.
const RESERVED: [&str; 4] = ["position", "v", "by", "digest"];

/// A launch as it stands on the log: the part that the fold needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
    /// The calendar day it counts for.
    pub date: BusinessDate,
    /// Unique within (tenant, account, date).
    pub id: LaunchId,
    /// Credit or debit.
    pub kind: Kind,
    /// How much.
    pub amount: Amount,
    /// Of which currency.
    pub currency: Currency,
    /// Digest of the id's bytes.
    pub id_digest: Digest,
    /// Digest of the content, see [`crate::Content`].
    pub content_digest: Digest,
}

/// A posted launch, checked, before ingest gave it what may be absent: tenant, id, date.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// As given, if given.
    pub id: Option<LaunchId>,
    /// Its cash book.
    pub account: Account,
    /// As given, if given.
    pub date: Option<BusinessDate>,
    /// As given (RFC 3339 with an offset), if given.
    pub occurred_at: Option<Cow<'a, str>>,
    /// The same as an instant: nanoseconds since 1970-01-01T00:00:00Z.
    pub occurred_at_ns: Option<i128>,
    /// Credit or debit.
    pub kind: Kind,
    /// How much.
    pub amount: Amount,
    /// Of which currency.
    pub currency: Currency,
    description: Option<Cow<'a, str>>,
    category: Option<Cow<'a, str>>,
    others: Vec<Member<'a>>,
    others_encoding: Cow<'static, [u8]>,
}

/// Reads a line that a caller of `tenant` posted.
///
/// # Errors
/// The line is no valid launch; the reason's slug and the detail go to the caller.
pub fn parse_posted<'a>(line: &'a [u8], tenant: &Tenant) -> Result<Draft<'a>, Invalid> {
    let mut object = Object::read(line)?;
    if object.text(Field::Type)?.is_some_and(|given| given != LAUNCH_TYPE) {
        return Err(Invalid::new(Reason::ReservedField, "type is \"launch\" or left out"));
    }
    if object.text(Field::Tenant)?.is_some_and(|given| given != tenant.as_str()) {
        return Err(Invalid::new(Reason::ReservedField, "tenant is the caller's own or left out"));
    }
    if let Some(name) = RESERVED.iter().find(|name| object.others.iter().any(|(given, _)| given == *name)) {
        return Err(Invalid::new(
            Reason::ReservedField,
            format!("{name} is not a field for callers: choose another name"),
        ));
    }
    draft(&mut object)
}

impl Draft<'_> {
    /// Digest of the content, see [`crate::Content`].
    pub fn content_digest(&self) -> Digest {
        Content::of(&self.parts()).0
    }

    /// What makes the content the same as another's, under this secret.
    pub fn content_fingerprint(&self, secret: &FingerprintSecret) -> Fingerprint {
        Fingerprint::of(&self.parts(), secret)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            kind: self.kind,
            amount: self.amount,
            currency: self.currency,
            occurred_at: self.occurred_at.as_deref(),
            description: self.description.as_deref(),
            category: self.category.as_deref(),
            others: &self.others_encoding,
        }
    }
}

/// Reads a line of the log.
///
/// # Errors
/// The line cannot be applied; the reason and the detail are parked with it. A `type` that is not known comes before
/// every other mistake in the launch.
pub fn parse_logged(line: &[u8]) -> Result<Launch, Invalid> {
    logged(line, |_| ()).map(|(launch, ())| launch)
}

/// As [`parse_logged`], with the fingerprint of its content.
///
/// # Errors
/// As [`parse_logged`].
pub fn parse_logged_with_fingerprint(
    line: &[u8],
    secret: &FingerprintSecret,
) -> Result<(Launch, Fingerprint), Invalid> {
    logged(line, |draft| draft.content_fingerprint(secret))
}

fn logged<T>(line: &[u8], with: impl FnOnce(&Draft<'_>) -> T) -> Result<(Launch, T), Invalid> {
    let mut object = Object::read(line)?;
    check_logged_type(&mut object)?;
    let tenant = Tenant::parse(&object.mandatory(Field::Tenant)?)?;
    let draft = draft(&mut object)?;
    let (content_digest, beside) = (draft.content_digest(), with(&draft));
    let id = draft.id.ok_or_else(|| object::missing(Field::Id.name()))?;
    let date = draft.date.ok_or_else(|| Invalid::new(Reason::MissingDate, "a launch on the log has a date"))?;
    let id_digest = Digest::of(id.as_bytes());
    let Draft { account, kind, amount, currency, .. } = draft;
    Ok((Launch { tenant, account, date, id, kind, amount, currency, id_digest, content_digest }, beside))
}

fn check_logged_type(object: &mut Object<'_>) -> Result<(), Invalid> {
    match object.text(Field::Type) {
        Ok(None) => Ok(()),
        Ok(Some(given)) if given == LAUNCH_TYPE => Ok(()),
        _ => Err(Invalid::new(Reason::UnknownType, "the type of this entry is not known")),
    }
}

/// Checks the fields that posted and logged lines have in common.
fn draft<'a>(object: &mut Object<'a>) -> Result<Draft<'a>, Invalid> {
    let id = object.text(Field::Id)?.map(|text| LaunchId::parse(&text)).transpose()?;
    let account = Account::parse(&object.mandatory(Field::Account)?)?;
    let date = object.text(Field::Date)?.map(|text| BusinessDate::parse(&text)).transpose()?;
    let occurred_at = object.text(Field::OccurredAt)?;
    let occurred_at_ns = occurred_at.as_deref().map(parse_time).transpose()?;
    let kind = parse_kind(&object.mandatory(Field::Kind)?)?;
    let currency = parse_currency(&object.mandatory(Field::Currency)?)?;
    let amount = parse_amount(object.amount()?, currency)?;
    let description = bounded(object, Field::Description, MAX_DESCRIPTION_CHARACTERS)?;
    let category = bounded(object, Field::Category, MAX_CATEGORY_CHARACTERS)?;
    let others = std::mem::take(&mut object.others);
    let others_encoding = encode_members(&others)?;
    Ok(Draft {
        id,
        account,
        date,
        occurred_at,
        occurred_at_ns,
        kind,
        amount,
        currency,
        description,
        category,
        others,
        others_encoding,
    })
}

fn parse_time(text: &str) -> Result<i128, Invalid> {
    let detail = "occurred_at is an RFC 3339 time with an offset, such as 2026-11-22T10:00:00-03:00";
    time::parse(text).ok_or_else(|| Invalid::new(Reason::InvalidTime, detail))
}

fn parse_kind(text: &str) -> Result<Kind, Invalid> {
    match text {
        "credit" => Ok(Kind::Credit),
        "debit" => Ok(Kind::Debit),
        _ => Err(Invalid::new(Reason::InvalidKind, "kind is \"credit\" or \"debit\"")),
    }
}

fn parse_currency(code: &str) -> Result<Currency, Invalid> {
    Currency::parse(code).map_err(|error| Invalid::new(Reason::InvalidCurrency, error.to_string()))
}

/// `json` is the amount as JSON text.
fn parse_amount(json: &str, currency: Currency) -> Result<Amount, Invalid> {
    let invalid_amount = |error: MoneyError| Invalid::new(Reason::InvalidAmount, error.to_string());
    match json.as_bytes() {
        [b'"', .., b'"'] if !json.contains('\\') => {
            Amount::parse(&json[1..json.len() - 1], currency).map_err(invalid_amount)
        }
        [b'"', ..] => Amount::parse(&unescaped(json)?, currency).map_err(invalid_amount),
        [b'-' | b'0'..=b'9', ..] => Amount::parse_number(json, currency).map_err(invalid_amount),
        _ => Err(Invalid::new(Reason::Malformed, "amount is a JSON string or a JSON number")),
    }
}

fn unescaped(json: &str) -> Result<String, Invalid> {
    serde_json::from_str(json).map_err(|error| Invalid::new(Reason::Malformed, format!("amount is no text: {error}")))
}

/// An optional text of at most `max` characters.
fn bounded<'a>(object: &mut Object<'a>, field: Field, max: usize) -> Result<Option<Cow<'a, str>>, Invalid> {
    let text = object.text(field)?;
    // Counting is needed only where the bytes are too many.
    let is_too_long = text.as_ref().is_some_and(|text| text.len() > max && text.chars().count() > max);
    if is_too_long {
        return Err(Invalid::new(Reason::TextTooLong, format!("{} has at most {max} characters", field.name())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
