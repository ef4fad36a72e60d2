//! A batch while its lines come.

use protocol::deduplication::Held;
use tokio::time::Instant;

use super::gathered::Line;
use crate::{config::BodyConfig, publish::Claims};

/// Lines of one lane that will travel together.
pub(super) struct OpenBatch {
    pub(super) partition: u16,
    /// In the body: of the first line that is claimed.
    pub(super) first_line: u64,
    /// When that was claimed.
    pub(super) begun: Instant,
    /// Of what is claimed; lines that are gathered and not yet claimed are behind it.
    pub(super) lines: Vec<u8>,
    claimed_bytes: usize,
    unclaimed_entries: usize,
    pub(super) claims: Claims,
}

impl OpenBatch {
    /// An empty batch, opened for the line `number`; `lines` is its room.
    pub(super) fn new(partition: u16, number: u64, lines: Vec<u8>, claims: Claims) -> Self {
        let (claimed_bytes, unclaimed_entries) = (0, 0);
        Self { partition, first_line: number, begun: Instant::now(), lines, claimed_bytes, unclaimed_entries, claims }
    }

    /// Counts a line that was written behind the others and is not claimed yet.
    pub(super) fn gathered(&mut self) {
        self.unclaimed_entries += 1;
    }

    /// Whether it may be full, if everything gathered is new.
    pub(super) fn is_full(&self, bounds: &BodyConfig) -> bool {
        let entries = self.claims.launches().len() + self.unclaimed_entries;
        self.lines.len() >= bounds.batch_bytes || entries >= bounds.batch_entries
    }

    /// Makes room for the claims of all gathered lines.
    pub(super) fn reserve(&mut self) {
        self.claims.reserve(self.unclaimed_entries);
    }

    /// The next gathered line is new. It moves to where those before it were, that were not.
    pub(super) fn keep(&mut self, launch: Held, line: &Line) {
        if self.claims.launches().is_empty() {
            self.first_line = line.number;
            self.begun = Instant::now();
        }
        if line.start > self.claimed_bytes {
            self.lines.copy_within(line.start..line.end, self.claimed_bytes);
        }
        self.claimed_bytes += line.end - line.start;
        self.claims.push(launch);
    }

    /// All gathered lines were kept or are known.
    pub(super) fn drop_known(&mut self) {
        self.lines.truncate(self.claimed_bytes);
        self.unclaimed_entries = 0;
    }
}
