//! What a query's surroundings keep; the simulation leaves out one at a time.

/// Rules of whoever drives [`crate::query::QueryLane`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderRules {
    /// Notices are subscribed to before progress is read.
    pub(crate) subscribes_before_reading: bool,
    /// Where no notices come, progress is read for each reader.
    pub(crate) silent_readers_read_progress: bool,
    /// A notice that lies behind, and that no replay explains, asks for a progress read.
    pub(crate) behind_asks_the_store: bool,
    /// A reopened store empties the caches.
    pub(crate) lost_store_empties_all: bool,
    /// An account's rows are read at one static `applied`.
    pub(crate) one_applied: bool,
    /// And with all rows of the last batch.
    pub(crate) whole_batches: bool,
    /// The journal is read after the rows.
    pub(crate) journal_after_rows: bool,
    /// Facts of the journal above what the rows hold are ignored.
    pub(crate) facts_above_are_ignored: bool,
}

impl Default for ReaderRules {
    fn default() -> Self {
        Self {
            subscribes_before_reading: true,
            silent_readers_read_progress: true,
            behind_asks_the_store: true,
            lost_store_empties_all: true,
            one_applied: true,
            whole_batches: true,
            journal_after_rows: true,
            facts_above_are_ignored: true,
        }
    }
}
