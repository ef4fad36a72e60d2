//! Names that callers choose: tenants, accounts and launch ids.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// The longest identifier, in bytes: it is a part of subjects, headers and keys.
const MAX_IDENTIFIER_BYTES: usize = 64;

/// Why a text is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must match [A-Za-z0-9_-{extra}]{{1,64}}")]
pub struct IdentifierError {
    what: &'static str,
    extra: &'static str,
}

/// A text as long as an identifier may be, without memory of its own: every launch has another id, and hardly one is kept
/// for longer than a line is looked at.
#[derive(Clone, Copy)]
struct InPlace {
    length: u8,
    bytes: [u8; MAX_IDENTIFIER_BYTES],
}

impl InPlace {
    /// Of at most [`MAX_IDENTIFIER_BYTES`].
    fn new(text: &str) -> Self {
        let mut bytes = [0; MAX_IDENTIFIER_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { length: u8::try_from(text.len()).unwrap_or_default(), bytes }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn as_str(&self) -> &str {
        // Identifiers are ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl From<InPlace> for SmolStr {
    fn from(text: InPlace) -> Self {
        Self::new(text.as_str())
    }
}

impl PartialEq for InPlace {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for InPlace {}

impl PartialOrd for InPlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InPlace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for InPlace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// By byte, whether an identifier may hold it: letters, digits, `_`, `-`, and the extra ones.
const fn allowed_bytes(extra: &[u8]) -> [bool; 256] {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    allowed[b'_' as usize] = true;
    allowed[b'-' as usize] = true;
    let mut index = 0;
    while index < extra.len() {
        allowed[extra[index] as usize] = true;
        index += 1;
    }
    allowed
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $held:ident, $what:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name($held);

        impl $name {
            /// Checks the grammar of the design and keeps the text.
            ///
            /// # Errors
            /// The text is empty, longer than 64 bytes, or has another character.
            pub fn parse(text: &str) -> Result<Self, IdentifierError> {
                static ALLOWED: [bool; 256] = allowed_bytes($extra.as_bytes());
                let is_allowed = |byte: u8| ALLOWED[usize::from(byte)];
                if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES || !text.bytes().all(is_allowed) {
                    return Err(IdentifierError { what: $what, extra: $extra });
                }
                Ok(Self($held::new(text)))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Its bytes.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = IdentifierError;
            fn try_from(text: SmolStr) -> Result<Self, IdentifierError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for SmolStr {
            fn from(identifier: $name) -> SmolStr {
                identifier.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), formatter)
            }
        }
    };
}

identifier!(
    /// An organisation. It comes from the caller's credentials, never from a body.
    Tenant, SmolStr, "a tenant", ""
);
identifier!(
    /// One cash book of a tenant: a store, a till, a bank account.
    Account, SmolStr, "an account", ""
);
identifier!(
    /// The id of a launch, unique within (tenant, account, date).
    LaunchId, InPlace, "an id", ".:"
);

/// An account with the tenant it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_held_in_place_are_the_texts_that_they_were(texts in proptest::array::uniform2("[A-Za-z0-9_.:-]{1,64}")) {
            let [one, two] = texts.each_ref().map(|text| LaunchId::parse(text).unwrap());
            prop_assert_eq!(one.as_str(), &texts[0]);
            prop_assert_eq!(one.as_bytes(), texts[0].as_bytes());
            prop_assert_eq!(one.cmp(&two), texts[0].cmp(&texts[1]));
            prop_assert_eq!(one == two, texts[0] == texts[1]);
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&json, &format!("{:?}", texts[0]));
            prop_assert_eq!(serde_json::from_str::<LaunchId>(&json).unwrap(), one);
        }
    }

    #[test]
    fn every_character_is_allowed_or_not_as_the_grammar_says() {
        for character in '\0'..='\u{17f}' {
            let text = character.to_string();
            let of_all = character.is_ascii_alphanumeric() || "_-".contains(character);
            assert_eq!(Tenant::parse(&text).is_ok(), of_all, "{text:?}");
            assert_eq!(Account::parse(&text).is_ok(), of_all, "{text:?}");
            assert_eq!(LaunchId::parse(&text).is_ok(), of_all || ".:".contains(character), "{text:?}");
        }
    }

    #[test]
    fn the_longest_id_fits_and_one_byte_more_does_not() {
        let text = "i".repeat(MAX_IDENTIFIER_BYTES);
        assert_eq!(LaunchId::parse(&text).unwrap().as_str(), text);
        assert!(LaunchId::parse(&format!("{text}i")).is_err());
        assert!(LaunchId::parse("").is_err());
    }
}
