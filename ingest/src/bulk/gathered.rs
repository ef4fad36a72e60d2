//! Lines written into their batches, but not claimed yet. Together their claims cost one lock a shard of the cache of
//! recent launches instead of one a line, and wait for memory at the same time instead of one after the other.
//!
//! A line belongs to the batch that is open when it comes. So lines are claimed at the latest when, all being new, a batch
//! would be full, and whenever somebody may look at what is claimed: then everything is as if each had been claimed at once.

use protocol::deduplication::{Claimed, Held};

use super::OpenBatch;
use crate::recent::{Claim, Recent};

/// Most lines gathered: some for every shard of the cache.
const MAX_GATHERED: usize = 1_024;

/// A gathered line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// In the body, from 1.
    pub(super) number: u64,
    pub(super) partition: u16,
    /// Where it stands in its batch's lines, line feed included.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Lines in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    launches: Vec<Claimed>,
    lines: Vec<Line>,
    /// Of those that were claimed last.
    slots: Vec<u32>,
}

impl Gathered {
    pub(super) fn push(&mut self, launch: Claimed, line: Line) {
        self.launches.push(launch);
        self.lines.push(line);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= MAX_GATHERED
    }

    pub(super) fn clear(&mut self) {
        self.launches.clear();
        self.lines.clear();
    }

    /// Claims them for the batches in which they stand, by partition in `open`; those that are not new leave their batch
    /// and are returned, in order.
    pub(super) fn claim(&mut self, recent: &Recent, open: &mut [Option<OpenBatch>]) -> Vec<(Line, Claim)> {
        let known = self.claim_all(recent, open);
        open.iter_mut().flatten().for_each(OpenBatch::reserve);
        let mut leaving = known.iter().map(|(index, _)| *index).peekable();
        for (index, ((launch, line), slot)) in self.launches.iter().zip(&self.lines).zip(&self.slots).enumerate() {
            if leaving.next_if_eq(&index).is_none()
                && let Some(batch) = &mut open[usize::from(line.partition)]
            {
                batch.keep(Held { launch: *launch, slot: *slot }, line);
            }
        }
        open.iter_mut().flatten().for_each(OpenBatch::drop_known);
        known.into_iter().map(|(index, claim)| (self.lines[index], claim)).collect()
    }

    fn claim_all(&mut self, recent: &Recent, open: &[Option<OpenBatch>]) -> Vec<(usize, Claim)> {
        let flight_of = |index: usize| {
            let partition = usize::from(self.lines[index].partition);
            open[partition].as_ref().map(|batch| batch.claims.flight())
        };
        recent.claim_all(&self.launches, flight_of, &mut self.slots)
    }
}
