//! What a worker has done, for metrics.

use std::collections::BTreeMap;

use crate::commit::Commit;

/// Counts since the worker started, and sizes as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages folded, empty ones included.
    pub messages: u64,
    /// Messages without any line, skipped.
    pub empty_messages: u64,
    /// Launches that counted.
    pub launches: u64,
    /// Launches known already, with the same content.
    pub duplicates: u64,
    /// Bad lines by the slug of their reason, conflicts included.
    pub parked_lines: BTreeMap<&'static str, u64>,
    /// Messages with bad lines.
    pub parked_messages: u64,
    /// Entries passed over because their account is stopped.
    pub stopped_entries: u64,
    /// Commits ended.
    pub commits: u64,
    /// Balance and roll-up rows of ended commits.
    pub rows_written: u64,
    /// Batches that these rows were in: one for each account, and for each tenant, of a commit.
    pub batches_written: u64,
    /// Names of accounts of ended commits.
    pub names_written: u64,
    /// Journal chunks of ended commits.
    pub chunks_written: u64,
    /// Load requests answered.
    pub loads: u64,
    /// Windows loaded.
    pub windows_loaded: u64,
    /// Windows evicted.
    pub windows_evicted: u64,
    /// How often folding had to wait because nothing could be evicted.
    pub memory_waits: u64,
    /// Bytes of rows and windows held.
    pub memory_bytes: u64,
    /// Bytes of messages that wait to be folded.
    pub read_ahead_bytes: u64,
    /// Accounts stopped.
    pub stopped_accounts: u64,
}

impl Counters {
    /// A commit has ended.
    pub(super) fn committed(&mut self, commit: &Commit) {
        let Commit { journal, accounts, balances, rollups, .. } = commit;
        let rows = balances.iter().map(|batch| batch.rows.len()).chain(rollups.iter().map(|batch| batch.rows.len()));
        self.commits += 1;
        self.rows_written += rows.sum::<usize>() as u64;
        self.batches_written += (balances.len() + rollups.len()) as u64;
        self.names_written += accounts.len() as u64;
        self.chunks_written += journal.len() as u64;
    }
}
