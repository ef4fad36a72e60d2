//! Names that callers choose: tenants, accounts and launch ids.

use std::fmt;

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

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks the grammar of the design and keeps the text.
            ///
            /// # Errors
            /// The text is empty, longer than 64 bytes, or has another character.
            pub fn parse(text: &str) -> Result<Self, IdentifierError> {
                let allowed = |byte: u8| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || $extra.as_bytes().contains(&byte)
                };
                if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES || !text.bytes().all(allowed) {
                    return Err(IdentifierError { what: $what, extra: $extra });
                }
                Ok(Self(SmolStr::new(text)))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
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
                identifier.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0.as_str(), formatter)
            }
        }
    };
}

identifier!(
    /// An organisation. It comes from the caller's credentials, never from a body.
    Tenant, "a tenant", ""
);
identifier!(
    /// One cash book of a tenant: a store, a till, a bank account.
    Account, "an account", ""
);
identifier!(
    /// The id of a launch, unique within (tenant, account, date).
    LaunchId, "an id", ".:"
);

/// An account with the tenant it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
}
