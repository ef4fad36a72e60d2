//! What is stored, by whichever log's workers. Each commit is a whole.

use std::collections::BTreeMap;

use super::logs::Entry;
use crate::{commit::Progress, log::LogIdentity};

/// What is stored of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// The sequence of the last commit that wrote it.
    pub(super) applied: Option<u64>,
    /// Serials of its entries.
    pub(super) content: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    progress: BTreeMap<u16, Progress>,
    rows: BTreeMap<usize, Rows>,
    /// When the logs that it was filled from last became others: a number of a happening.
    pub(super) changed: u64,
}

impl Store {
    /// The same, in place since then.
    pub(super) fn put_in_place(self, happening: u64) -> Self {
        Self { changed: happening, ..self }
    }

    pub(super) fn progress(&self, lane: u16) -> Option<&Progress> {
        self.progress.get(&lane)
    }

    pub(super) fn rows(&self, account: usize) -> Rows {
        self.rows.get(&account).cloned().unwrap_or_default()
    }

    /// Whether anything in it is of another log.
    pub(super) fn holds_other_than(&self, identity: &LogIdentity) -> bool {
        self.progress.values().any(|progress| progress.identity != *identity)
    }

    pub(super) fn commit(&mut self, lane: u16, progress: Progress, entries: &[Entry], happening: u64) {
        let sequence = progress.sequence;
        for entry in entries {
            let rows = self.rows.entry(entry.account).or_default();
            rows.applied = Some(sequence);
            rows.content.push(entry.serial);
        }
        let is_first = self.progress.insert(lane, progress).is_none();
        if is_first {
            self.changed = happening;
        }
    }
}
