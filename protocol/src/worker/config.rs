//! What a worker is told about its surroundings, and the rules that it keeps.

use crate::commit::{JOURNAL_BUCKET_FACTS, MAX_BATCH_ROWS, MAX_CHUNK_BYTES, MAX_CHUNK_FACTS};

/// Bounds and timing of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Whether the store writes a commit as a whole, so that the checkpoint goes with it.
    pub atomic_commits: bool,
    /// Where commits are not atomic: a commit may become the checkpoint this long after it ended, in milliseconds. Twice the
    /// period after which the store's nodes sync their commit log.
    pub checkpoint_lag_ms: u64,
    /// Parsed messages that wait to be folded, in bytes ([`super::ParsedMessage::cost`]).
    pub read_ahead_bytes: usize,
    /// Most launches of one commit, unless a single message has more.
    pub commit_launches: usize,
    /// Most bytes of one commit's messages, unless a single message has more.
    pub commit_bytes: usize,
    /// Rows and windows held in memory, in bytes. One run of messages may exceed it by what it needs itself, which is as much
    /// again at most, and of [`Self::commit_windows`] windows.
    pub memory_bytes: usize,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            atomic_commits: true,
            // Cassandra and ScyllaDB sync their commit log every ten seconds by default.
            checkpoint_lag_ms: 20_000,
            // Holds the launches of one large commit while the one before is written.
            read_ahead_bytes: 64 * 1024 * 1024,
            // So many launches share their account's rows that rows no longer limit the throughput.
            commit_launches: 100_000,
            // As many launches of 300 bytes, and no store has to take in more at once.
            commit_bytes: 64 * 1024 * 1024,
            // About five million seen ids, beside their rows.
            memory_bytes: 256 * 1024 * 1024,
        }
    }
}

impl WorkerConfig {
    /// Most windows of one commit, unless a single message has more. Each brings a chunk and rows of its own, however few its
    /// launches are; what they weigh until the store has them is bounded by what may be held.
    pub(crate) fn commit_windows(&self) -> usize {
        (self.memory_bytes / COMMIT_WINDOW_BYTES).max(LEAST_COMMIT_WINDOWS)
    }
}

/// What a window of one launch weighs from its loading until its commit is stored: itself and its account, its chunk and
/// rows, and the same once more as the store takes them.
const COMMIT_WINDOW_BYTES: usize = 4 * 1024;
/// So many windows a commit may have in any case: fewer do not pay.
const LEAST_COMMIT_WINDOWS: usize = 1_024;

/// Bounds that the protocol fixes; the simulation makes them small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) batch_rows: usize,
    pub(crate) chunk_facts: usize,
    pub(crate) chunk_bytes: usize,
    pub(crate) bucket_facts: u64,
    /// Windows of one load: bounds what the store has to hold for one answer.
    pub(crate) load_windows: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch_rows: MAX_BATCH_ROWS,
            chunk_facts: MAX_CHUNK_FACTS,
            chunk_bytes: MAX_CHUNK_BYTES,
            bucket_facts: JOURNAL_BUCKET_FACTS,
            load_windows: 4_096,
        }
    }
}

/// The worker's rules. All are on; the simulation leaves out one at a time to show that it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A launch is applied to a row only if it lies above the row's stamp.
    pub(crate) apply_above_stamp: bool,
    /// That stamp is the one loaded, not one advanced by earlier lines.
    pub(crate) stamp_as_loaded: bool,
    /// For an entry only what lies below its place exists.
    pub(crate) only_below_exists: bool,
    /// What is folded is journaled, even if the journal knows it.
    pub(crate) journal_again: bool,
    /// The account row is written at every first touch, not only for new accounts.
    pub(crate) account_row_every_first_touch: bool,
    /// The head of a commit is not below its rows.
    pub(crate) head_covers_rows: bool,
    /// The last message read is verified when the reader is recreated.
    pub(crate) verify_last_read: bool,
    /// Checkpoint and head are verified at start.
    pub(crate) verify_marks: bool,
    /// A worker that stood still starts anew.
    pub(crate) restart_after_standstill: bool,
    /// Where commits are not atomic the checkpoint lags.
    pub(crate) checkpoint_lags: bool,
    /// Commits end on message boundaries.
    pub(crate) whole_messages: bool,
    /// A day whose stamp lies above the replay is checked later.
    pub(crate) day_check_waits: bool,
    /// A notice lists every account with an entry, not only those written.
    pub(crate) notice_lists_unwritten: bool,
    /// Bad lines are parked before the commit.
    pub(crate) park_before_commit: bool,
    /// Only what is safe in the store is evicted.
    pub(crate) evict_only_safe: bool,
    /// A day's rows are compared with its journal when they are loaded.
    pub(crate) day_check: bool,
    /// An account that was found damaged stays stopped, and the checkpoint below that place.
    pub(crate) stops_hold_checkpoint: bool,
    /// A journal bucket is the number of facts below, not of all that are known.
    pub(crate) bucket_by_facts_below: bool,
    /// A worker that replays below the progress that it found says so.
    pub(crate) replay_is_told: bool,
    /// A worker replays what lies below the head, too, not only what lies below progress.
    pub(crate) replays_up_to_head: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            apply_above_stamp: true,
            stamp_as_loaded: true,
            only_below_exists: true,
            journal_again: true,
            account_row_every_first_touch: true,
            head_covers_rows: true,
            verify_last_read: true,
            verify_marks: true,
            restart_after_standstill: true,
            checkpoint_lags: true,
            whole_messages: true,
            day_check_waits: true,
            notice_lists_unwritten: true,
            park_before_commit: true,
            evict_only_safe: true,
            day_check: true,
            stops_hold_checkpoint: true,
            bucket_by_facts_below: true,
            replay_is_told: true,
            replays_up_to_head: true,
        }
    }
}
