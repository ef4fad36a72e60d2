//! The content of a launch, as far as "same content" is concerned. This definition never changes: its digests are stored.
//!
//! | part | encoding, one after the other |
//! |---|---|
//! | kind | `C` or `D` |
//! | amount | minor units, 8 bytes, big-endian |
//! | currency | the three letters |
//! | occurred_at, description, category | each a string as below, or `n` where absent |
//! | other fields | one object as below |
//!
//! | JSON value | encoding |
//! |---|---|
//! | null, true, false | `n`, `t`, `f` |
//! | string | `"`, then the length in bytes and the bytes of the unescaped text |
//! | number | `#`, then the length in bytes and the bytes as given: `1.0` and `1` differ |
//! | array | `[`, the values, `]` |
//! | object | `{`, each key as a string with its value behind it, sorted by the bytes of the unescaped key, `}` |
//!
//! Lengths are LEB128. `id`, `tenant`, `account`, `date` and `type` are not part of it: they say which launch it is, not
//! what it says.

mod canonical;

use std::borrow::Cow;

use crate::{Amount, Currency, Digest, Invalid, Kind};

pub(crate) use canonical::{Member, key_twice};

/// What makes two launches of one id the same: kind, minor units, currency, `occurred_at` as given, description,
/// category, and the other fields sorted by key. Key order, white space and `150.75` against `"150.75"` make no
/// difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content(pub Digest);

/// The parts of a launch that its content consists of.
pub(crate) struct Parts<'p, 'a> {
    pub kind: Kind,
    pub amount: Amount,
    pub currency: Currency,
    pub occurred_at: Option<&'p str>,
    pub description: Option<&'p str>,
    pub category: Option<&'p str>,
    /// The other fields in any order, with valid JSON.
    pub others: &'p [Member<'a>],
}

/// Most launches are encoded without growing the buffer.
const TYPICAL_ENCODING_BYTES: usize = 256;

impl Content {
    /// Digests the encoding of the parts.
    ///
    /// # Errors
    /// Other fields are nested too deep, have a key twice, or hold a string that is no Unicode text.
    pub(crate) fn of(parts: &Parts<'_, '_>) -> Result<Self, Invalid> {
        Ok(Self(Digest::of(&encode(parts)?)))
    }
}

fn encode(parts: &Parts<'_, '_>) -> Result<Vec<u8>, Invalid> {
    let mut encoding = Vec::with_capacity(TYPICAL_ENCODING_BYTES);
    encoding.push(match parts.kind {
        Kind::Credit => b'C',
        Kind::Debit => b'D',
    });
    encoding.extend_from_slice(&parts.amount.minor_units().to_be_bytes());
    encoding.extend_from_slice(parts.currency.code().as_bytes());
    for text in [parts.occurred_at, parts.description, parts.category] {
        canonical::push_optional(text, &mut encoding);
    }
    canonical::push_members(parts.others, &mut encoding)?;
    Ok(encoding)
}

/// A short piece of a caller's text for the detail of a mistake.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    const EXCERPT_CHARACTERS: usize = 160;
    match text.char_indices().nth(EXCERPT_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
