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

use bytes::BufMut;

use crate::{Amount, Currency, Digest, Fingerprint, FingerprintSecret, Kind};

pub(crate) use canonical::{Member, encode_members, key_twice};

/// What makes two launches of one id the same: kind, minor units, currency, `occurred_at` as given, description,
/// category, and the other fields sorted by key. Key order, white space and `150.75` against `"150.75"` make no
/// difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content(pub Digest);

/// The parts of a launch that its content consists of.
pub(crate) struct Parts<'p> {
    pub kind: Kind,
    pub amount: Amount,
    pub currency: Currency,
    pub occurred_at: Option<&'p str>,
    pub description: Option<&'p str>,
    pub category: Option<&'p str>,
    /// The other fields as [`encode_members`] gave them.
    pub others: &'p [u8],
}

/// Most launches are encoded in place, without memory of their own.
const SHORT_ENCODING_BYTES: usize = 256;
/// Kind, amount, currency; tags and lengths of the three texts.
const MAX_BYTES_BESIDE_TEXTS: usize = 1 + 8 + 3 + 3 * 4;

impl Content {
    /// Digests the encoding of the parts.
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        parts.with_encoding(|encoding| Self(Digest::of(encoding)))
    }
}

impl Fingerprint {
    /// Of the encoding of the parts, under a secret.
    pub(crate) fn of(parts: &Parts<'_>, secret: &FingerprintSecret) -> Self {
        parts.with_encoding(|encoding| secret.of(encoding))
    }
}

impl Parts<'_> {
    fn texts(&self) -> [Option<&str>; 3] {
        [self.occurred_at, self.description, self.category]
    }

    fn with_encoding<T>(&self, of: impl FnOnce(&[u8]) -> T) -> T {
        if !self.is_short() {
            return of(&encode(self));
        }
        let mut encoding = [0; SHORT_ENCODING_BYTES];
        let mut free = encoding.as_mut_slice();
        push(self, &mut free);
        let used = SHORT_ENCODING_BYTES - free.len();
        of(&encoding[..used])
    }

    /// Whether the encoding certainly fits into [`SHORT_ENCODING_BYTES`].
    fn is_short(&self) -> bool {
        let texts: usize = self.texts().iter().flatten().map(|text| text.len()).sum();
        texts + self.others.len() + MAX_BYTES_BESIDE_TEXTS <= SHORT_ENCODING_BYTES
    }
}

fn encode(parts: &Parts<'_>) -> Vec<u8> {
    let mut encoding = Vec::with_capacity(SHORT_ENCODING_BYTES + parts.others.len());
    push(parts, &mut encoding);
    encoding
}

fn push(parts: &Parts<'_>, out: &mut impl BufMut) {
    out.put_u8(match parts.kind {
        Kind::Credit => b'C',
        Kind::Debit => b'D',
    });
    out.put_i64(parts.amount.minor_units());
    out.put_slice(parts.currency.code().as_bytes());
    for text in parts.texts() {
        canonical::push_optional(text, out);
    }
    out.put_slice(parts.others);
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
