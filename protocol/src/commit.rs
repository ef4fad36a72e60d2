//! What a worker writes: one commit of a run of messages up to a sequence.

use ledger::{AccountKey, Balance, Fact, Place, RowKey, Tenant, WindowKey};
use serde::{Deserialize, Serialize};

use crate::log::{LogIdentity, LogMark};

/// Most launches of one journal chunk.
pub const MAX_CHUNK_FACTS: usize = 4_096;
/// Most bytes of lines of one journal chunk (a single longer fact is a chunk by itself).
pub const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// Launches of a window in one journal bucket: keeps a CQL partition small.
pub const JOURNAL_BUCKET_FACTS: u64 = 65_536;
/// Most rows of one account's batch; a commit is cut before a message that would exceed it.
pub const MAX_BATCH_ROWS: usize = 2_000;

/// How far readers may claim a partition to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Every message of the lane up to this sequence is applied.
    pub sequence: u64,
    /// The log's time of that message: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Which log the partition was filled from.
    pub identity: LogIdentity,
}

/// What the store knows of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Rows may exist up to here.
    pub head: LogMark,
    /// What readers may claim; `None` before the first commit.
    pub progress: Option<Progress>,
    /// Where a worker resumes.
    pub checkpoint: LogMark,
}

/// New launches of one window, as the journal keeps them: a member of a grow-only set.
///
/// A chunk's content follows from its key (window, first, last): replays and doubled workers write the same or
/// overlapping facts, and nothing is ever rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalChunk {
    /// The window that the facts belong to.
    pub window: WindowKey,
    /// The window's launches below the first fact, div [`JOURNAL_BUCKET_FACTS`].
    pub bucket: u32,
    /// Whether the window has no launch below the first fact.
    pub begins_window: bool,
    /// At least one, ordered by place; never cut between facts of one place.
    pub facts: Vec<Fact>,
}

impl JournalChunk {
    /// Place of the first fact.
    pub fn first(&self) -> Place {
        self.facts.first().map_or_else(Place::default, |fact| fact.place)
    }

    /// Place of the last fact.
    pub fn last(&self) -> Place {
        self.facts.last().map_or_else(Place::default, |fact| fact.place)
    }
}

/// The balance rows of one account in one commit: one atomic single-partition batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBatch {
    /// The account.
    pub key: AccountKey,
    /// Its static `applied`: the commit's sequence.
    pub applied: u64,
    /// Changed rows, each stamped with the commit's sequence; ordered by key.
    pub rows: Vec<(RowKey, Balance)>,
}

/// The roll-up rows of one tenant's lane in one commit: one atomic single-partition batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupBatch {
    /// The organisation.
    pub tenant: Tenant,
    /// The static `applied`.
    pub applied: u64,
    /// Changed rows, ordered by key.
    pub rows: Vec<(RowKey, Balance)>,
}

/// Everything that one commit writes. Its parts are ordered as their fields are: a later part is written only after an
/// earlier one is acknowledged, unless the store writes all of it atomically. All of it is idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The lane.
    pub partition: u16,
    /// At or above the commit's sequence; acknowledged before anything below is written.
    pub head: LogMark,
    /// New launches.
    pub journal: Vec<JournalChunk>,
    /// Accounts first touched since this worker started or lost the store.
    pub accounts: Vec<AccountKey>,
    /// Balance rows.
    pub balances: Vec<AccountBatch>,
    /// Roll-up rows.
    pub rollups: Vec<RollupBatch>,
    /// What readers may claim afterwards; its sequence is the commit's.
    pub progress: Progress,
    /// Where a worker may resume afterwards, where the store is atomic; otherwise it follows when it is safe.
    pub checkpoint: Option<LogMark>,
}
