//! The header `Idempotency-Key`: what makes repetitions recognisable where the body holds no id.
//!
//! | spelling | |
//! |---|---|
//! | `8e03-97` | the key as it stands |
//! | `"8e03-97"` | a string of RFC 9651 (structured fields), as the IETF's draft of the header has it; `\"` and `\\` are escapes |
//!
//! A key that is a valid id is the id. Of any other the id is made: `k-` and the first half of its SHA-256 in hexadecimal digits,
//! the same for both spellings.

use std::{borrow::Cow, fmt::Write};

use axum::http::{HeaderMap, HeaderName};
use ledger::LaunchId;
use service::{Problem, problem::kinds};
use sha2::{Digest, Sha256};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// As long as the keys that payment services take.
const MAX_KEY_BYTES: usize = 255;
const MADE_PREFIX: &str = "k-";
/// Of a hash of 32: nobody finds two keys with the same 128 bits by chance, and the id stays far below its 64 characters.
const MADE_BYTES: usize = 16;

/// A key belongs to one launch.
///
/// # Errors
/// There is one beside a bulk.
pub(super) fn refuse(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.contains_key(IDEMPOTENCY_KEY) {
        true => Err(bad_key("a bulk has an id in each line instead of an Idempotency-Key")),
        false => Ok(()),
    }
}

/// The id that the header stands for.
///
/// # Errors
/// It is given more than once, or is no key.
pub(super) fn id(headers: &HeaderMap) -> Result<Option<LaunchId>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(bad_key("the header Idempotency-Key is given more than once"));
    }
    let key = read(value.as_bytes()).ok_or_else(|| {
        bad_key(
            "an Idempotency-Key is 1 to 255 printable ASCII characters, as they are or as one string in double quotes",
        )
    })?;
    id_of(&key).map(Some)
}

fn id_of(key: &str) -> Result<LaunchId, Problem> {
    let made = || LaunchId::parse(&made_id(key));
    LaunchId::parse(key).or_else(|_| made()).map_err(|error| Problem::new(kinds::INTERNAL, error.to_string()))
}

fn made_id(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    let mut id = String::from(MADE_PREFIX);
    for byte in hash.iter().take(MADE_BYTES) {
        let _written = write!(id, "{byte:02x}");
    }
    id
}

/// The key that a header's value spells.
fn read(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))?;
    let key = match text.strip_prefix('"') {
        Some(rest) => Cow::Owned(unescaped(rest.strip_suffix('"')?)?),
        None => Cow::Borrowed(text),
    };
    (1..=MAX_KEY_BYTES).contains(&key.len()).then_some(key)
}

/// What stands between the quotes, without its escapes.
fn unescaped(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        key.push(match character {
            '"' => return None,
            '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            plain => plain,
        });
    }
    Some(key)
}

pub(super) fn bad_key(detail: &'static str) -> Problem {
    Problem::new(kinds::IDEMPOTENCY_KEY_INVALID, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn id_of_values(values: &[&[u8]]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        id(&headers).map(|id| id.map(|id| id.to_string())).map_err(|problem| problem.kind.slug)
    }

    fn id_of_value(value: &str) -> Option<String> {
        id_of_values(&[value.as_bytes()]).unwrap_or_default()
    }

    #[test]
    fn a_key_that_is_a_valid_id_is_the_id_in_both_spellings() {
        for key in ["8e03978e-40d5-43e8-bc93-6894a57f9324", "a.b:c_d", &"x".repeat(64)] {
            assert_eq!(id_of_value(key).as_deref(), Some(key));
            assert_eq!(id_of_value(&format!("\"{key}\"")).as_deref(), Some(key));
        }
        assert_eq!(id_of_values(&[]), Ok(None));
    }

    /// Hashes by `printf '%s' KEY | sha256sum`.
    #[test]
    fn another_key_becomes_the_beginning_of_its_hash_in_both_spellings() {
        for (bare, quoted, id) in [
            ("orders/17", r#""orders/17""#, "k-0d2162c13cf8cad77959453f767a2ab5"),
            ("not a key", r#""not a key""#, "k-edfc089719c0a061bec08afad3dead44"),
            (r#"a"b\c"#, r#""a\"b\\c""#, "k-bd558229236e7dc57de12841c13ceb14"),
        ] {
            assert_eq!(id_of_value(bare).as_deref(), Some(id), "{bare}");
            assert_eq!(id_of_value(quoted).as_deref(), Some(id), "{quoted}");
        }
        let long = "x".repeat(255);
        assert_eq!(id_of_value(&long).as_deref(), Some("k-d22609da3ae3956ca4877056a8e580ee"));
        assert_eq!(id_of_value(&format!("\"{long}\"")).as_deref(), Some("k-d22609da3ae3956ca4877056a8e580ee"));
        assert_ne!(id_of_value(&"x".repeat(65)), id_of_value(&"x".repeat(66)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        let quoted_long = format!("\"{long}\"");
        for value in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b",
            "\"a\" ",
            "\"a\";p=1",
            "\"a\", \"b\"",
            r#""a\""#,
            r#""\a""#,
            "\"a\"b\"",
            "a\tb",
            "caf\u{e9}",
            &long,
            &quoted_long,
        ] {
            assert_eq!(id_of_values(&[value.as_bytes()]), Err("idempotency_key_invalid"), "{value:?}");
        }
        assert_eq!(id_of_values(&[b"\xff"]), Err("idempotency_key_invalid"));
        assert_eq!(id_of_values(&[b"a", b"a"]), Err("idempotency_key_invalid"));
        let escaped = format!("\"{}\"", "\\\"".repeat(255));
        assert!(id_of_value(&escaped).is_some(), "what counts is the key, not how it is spelled");
    }

    proptest! {
        #[test]
        fn a_key_s_id_does_not_depend_on_its_spelling(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            let of_quoted = id_of_value(&quoted).unwrap();
            prop_assert!(LaunchId::parse(&of_quoted).is_ok());
            if !key.starts_with('"') {
                prop_assert_eq!(id_of_value(&key), Some(of_quoted));
            }
        }
    }
}
