//! What each tenant has waiting in a lane.

use std::collections::HashMap;

use ledger::Tenant;

use super::{Batch, queue::entries_of};

/// How many times of what is left free a tenant may have waiting, so that there is room for others whatever one does.
const SHARE: usize = 3;

/// The tenants that have something waiting, and in which order they are served.
///
/// The order is that of start times: a batch begins when the one before it of its tenant ends, or at once, on a clock that
/// counts bytes and stands at the beginning of what was taken last. So tenants get equally many bytes, and each its
/// batches in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Shares {
    tenants: HashMap<Tenant, Share>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Share {
    entries: usize,
    bytes: usize,
    end: u64,
}

impl Shares {
    /// Counts a batch that would leave so many entries and bytes free, and returns its start; `None` when the tenant has its
    /// share.
    pub(super) fn take(&mut self, batch: &Batch, (entries_left, bytes_left): (usize, usize)) -> Option<u64> {
        let share = match self.tenants.get_mut(&batch.tenant) {
            Some(share) => share,
            None => self.tenants.entry(batch.tenant.clone()).or_default(),
        };
        let (entries, bytes) = (share.entries + entries_of(batch), share.bytes + batch.lines.len());
        if share.entries > 0 && (entries > SHARE * entries_left || bytes > SHARE * bytes_left) {
            return None;
        }
        let start = share.end.max(self.clock);
        let end = start.saturating_add(u64::try_from(batch.lines.len()).unwrap_or(u64::MAX));
        *share = Share { entries, bytes, end };
        Some(start)
    }

    /// A batch is taken whose start was this.
    pub(super) fn give_back(&mut self, batch: &Batch, start: u64) {
        self.clock = self.clock.max(start);
        let Some(share) = self.tenants.get_mut(&batch.tenant) else { return };
        share.entries = share.entries.saturating_sub(entries_of(batch));
        share.bytes = share.bytes.saturating_sub(batch.lines.len());
        if share.entries == 0 {
            // Forgotten with its end, it would begin at an unmoved clock for ever, before others that wait.
            self.clock = self.clock.max(share.end);
            self.tenants.remove(&batch.tenant);
        }
    }

    /// Everything is taken.
    pub(super) fn clear(&mut self) {
        self.tenants.clear();
        self.clock = 0;
    }
}
