//! Why a line is no launch.

use std::fmt;

use crate::{DateError, IdentifierError};

/// The kind of mistake; its [`Reason::slug`] is the same in HTTP problems, in a bulk's `errors` and in parked entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not a JSON object, or a field of the wrong JSON type, or a key twice.
    Malformed,
    /// The line is longer than [`crate::MAX_LINE_BYTES`].
    LineTooLong,
    /// JSON nested deeper than [`crate::MAX_DEPTH`].
    TooDeep,
    /// A mandatory field is absent.
    MissingField,
    /// `id`, `account` or `tenant` breaks its grammar.
    InvalidIdentifier,
    /// Not a date, or outside the bounds.
    InvalidDate,
    /// `occurred_at` is not an RFC 3339 time with an offset.
    InvalidTime,
    /// `occurred_at` lies so far ahead that its day may still change, and there is no `date`.
    TimeInFuture,
    /// `date` is neither given nor derivable.
    MissingDate,
    /// `kind` is neither `credit` nor `debit`.
    InvalidKind,
    /// The amount is no decimal, not positive, too large or has too many decimals.
    InvalidAmount,
    /// Not an ISO 4217 currency with minor units.
    InvalidCurrency,
    /// `description` or `category` is too long.
    TextTooLong,
    /// A field that callers may not set (`tenant` of another, `type` other than `launch`).
    ReservedField,
    /// On the log only: a `type` that this version does not know.
    UnknownType,
    /// On the log only: the entry is in a lane that is not its account's.
    WrongLane,
    /// The id is known with other content.
    Conflict,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::LineTooLong,
        Self::TooDeep,
        Self::MissingField,
        Self::InvalidIdentifier,
        Self::InvalidDate,
        Self::InvalidTime,
        Self::TimeInFuture,
        Self::MissingDate,
        Self::InvalidKind,
        Self::InvalidAmount,
        Self::InvalidCurrency,
        Self::TextTooLong,
        Self::ReservedField,
        Self::UnknownType,
        Self::WrongLane,
        Self::Conflict,
    ];

    /// The stable name of the mistake: `urn:saldo:problem:<slug>`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::LineTooLong => "line_too_long",
            Self::TooDeep => "too_deep",
            Self::MissingField => "missing_field",
            Self::InvalidIdentifier => "invalid_identifier",
            Self::InvalidDate => "invalid_date",
            Self::InvalidTime => "invalid_time",
            Self::TimeInFuture => "time_in_future",
            Self::MissingDate => "missing_date",
            Self::InvalidKind => "invalid_kind",
            Self::InvalidAmount => "invalid_amount",
            Self::InvalidCurrency => "invalid_currency",
            Self::TextTooLong => "text_too_long",
            Self::ReservedField => "reserved_field",
            Self::UnknownType => "unknown_type",
            Self::WrongLane => "wrong_lane",
            Self::Conflict => "conflict",
        }
    }
}

/// A refused line: the kind of mistake, and a sentence that says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The kind of mistake.
    pub reason: Reason,
    /// What is wrong, for a person.
    pub detail: String,
}

impl Invalid {
    /// A mistake of kind `reason`.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.slug(), self.detail)
    }
}

impl From<IdentifierError> for Invalid {
    fn from(error: IdentifierError) -> Self {
        Self::new(Reason::InvalidIdentifier, error.to_string())
    }
}

impl From<DateError> for Invalid {
    fn from(error: DateError) -> Self {
        Self::new(Reason::InvalidDate, error.to_string())
    }
}
