//! A window's memory of the ids it has seen: what makes a launch count once, without a time limit.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod seen_set;

use crate::{Account, Amount, BusinessDate, Currency, Digest, Place, Tenant};

pub use seen_set::{Looked, NewId, SeenSet};

/// One (tenant, account, business date).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowKey {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
    /// The calendar day that the launches count for.
    pub date: BusinessDate,
}

/// The side of the book that a launch stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Money in.
    Credit,
    /// Money out.
    Debit,
}

/// A launch that counts, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where it first stood in the lane.
    pub place: Place,
    /// Digest of its id, see [`crate::Launch::id_digest`].
    pub id_digest: Digest,
    /// Digest of its content, see [`crate::Content`].
    pub content_digest: Digest,
    /// Credit or debit.
    pub kind: Kind,
    /// Its currency.
    pub currency: Currency,
    /// Its amount.
    pub amount: Amount,
    /// The line as it stands on the log, without its line feed.
    pub line: Bytes,
}

/// What a window says of an id at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen below this place: it counts. (Seen at this very place means replayed: it counts, too.)
    New,
    /// Seen below with the same content: ignored.
    Duplicate {
        /// Where it was first seen.
        first: Place,
    },
    /// Seen below with other content: parked.
    Conflict {
        /// Where it was first seen.
        first: Place,
    },
}
