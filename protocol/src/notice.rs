//! Change notices: what a worker tells queries after a commit, and again as a heartbeat.

use ledger::{Account, AccountKey, BusinessDate, Tenant};
use serde::{Deserialize, Serialize};

use crate::log::Incarnation;

/// The longest notice, in bytes of JSON; a longer one says `all`.
pub const MAX_NOTICE_BYTES: usize = 64 * 1024;
/// Most stopped accounts that a notice names; a worker with more stops its whole partition.
pub const MAX_STOPPED_ACCOUNTS: usize = 64;

/// What changed in (from, to] of one lane, and how the worker stands. Sent after each commit, repeated as a heartbeat
/// with `from == to`, and once with (checkpoint, checkpoint) when a worker starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The projection that the worker fills.
    pub generation: u32,
    /// The log's epoch.
    pub epoch: u8,
    /// Which of the logs that had this epoch. `None` from a worker of a release that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// The lane.
    pub partition: u16,
    /// Which worker says so: a number drawn anew at each start. Who has not heard of it may have missed all that it said
    /// before. `None` from one that has no number, or that does not work: nobody knows what came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u64>,
    /// Sequence of the commit before.
    pub from: u64,
    /// Sequence of this commit: applied, stored, readable.
    pub to: u64,
    /// The log's time of the message at `to`: milliseconds since 1970-01-01T00:00:00Z; 0 when there is none.
    pub time_ms: i64,
    /// The lane's last sequence as the worker knows it.
    pub end: u64,
    /// Whether the worker replays below the progress that it found when it started (then queries use `to`), or below the head:
    /// of what lies above `to` a store that commits step by step may hold some and lack some.
    pub replaying: bool,
    /// Whether every message of the log is there, as the aggregator knows it: what is missing is in no answer. `None` as long as it
    /// does not know, and from one that does not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_is_whole: Option<bool>,
    /// What changed.
    pub changed: Changed,
    /// Accounts that the worker has stopped because their stored rows do not agree with their journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<AccountKey>,
}

/// What a notice says of the accounts touched in its range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Every account that has an entry in the range, with its earliest date, whether or not its rows were written.
    Accounts(Vec<ChangedAccount>),
    /// Too many to list: everything of the lane.
    All,
    /// Nothing may be told of the lane: its log and what is stored do not belong together. Repeated until they do.
    Refused,
}

/// An account with the earliest date that an entry of the range touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAccount {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
    /// The earliest date touched.
    pub date: BusinessDate,
}
