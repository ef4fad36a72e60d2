//! A commit: everything of it in one batch, each row only if it is newer.

use std::sync::Arc;

use fjall::{OwnedWriteBatch, Snapshot, UserKey, UserValue};
use ledger::{Account, Tenant};
use protocol::{
    commit::{Commit, JournalChunk},
    log::LogMark,
};

use super::{
    config::MOST_BYTES_OF_ONE_ROW,
    keys::{self, PartitionRow, Spread},
    lane::{Buffers, PartitionRows},
    lifecycle::Lifecycle,
    opened::Opened,
    read,
    value::to_json,
};
use crate::{StoreError, StoreErrorKind};

mod owners;

/// Room for the batch's items that a commit has besides its rows.
const OTHER_ITEMS: usize = 8;

/// Writes a commit of a worker that began with `incarnation`.
pub(super) fn commit(lifecycle: &Lifecycle, incarnation: u64, commit: &Commit) -> Result<(), StoreError> {
    let opened = writable(lifecycle, incarnation)?;
    let mut lane = opened.lane(commit.partition);
    let rows = lane.take_rows(commit.partition);
    let mut writer = Writer::new(&opened, &mut lane.buffers, rows, commit)?;
    writer.journal(&commit.journal);
    writer.accounts(commit);
    writer.balances(commit)?;
    writer.rollups(commit)?;
    writer.partition(commit)?;
    let Writer { batch, owners, lanes, rows, .. } = writer;
    opened.write(batch).map_err(|failure| lifecycle.failed(&opened, failure))?;
    opened.recent.put(owners);
    opened.recent_lanes.put(lanes);
    lane.put_rows(commit.partition, rows);
    Ok(())
}

/// Moves a checkpoint forward.
pub(super) fn checkpoint(
    lifecycle: &Lifecycle,
    incarnation: u64,
    partition: u16,
    checkpoint: LogMark,
) -> Result<(), StoreError> {
    let opened = writable(lifecycle, incarnation)?;
    let mut lane = opened.lane(partition);
    // A commit after it reads how far it is.
    lane.take_rows(partition);
    if read::mark(&opened, &opened.database.snapshot(), partition, PartitionRow::Checkpoint)?.sequence
        >= checkpoint.sequence
    {
        return Ok(());
    }
    let mut batch = opened.database.batch();
    batch.insert(&opened.partitions, keys::partition(partition, PartitionRow::Checkpoint), to_json(&checkpoint)?);
    opened.write(batch).map_err(|failure| lifecycle.failed(&opened, failure))
}

fn writable(lifecycle: &Lifecycle, incarnation: u64) -> Result<Arc<Opened>, StoreError> {
    let opened = lifecycle.writable()?;
    check_incarnation(&opened, incarnation)?;
    Ok(opened)
}

/// Whether the worker's rows are those of this incarnation.
pub(super) fn check_incarnation(opened: &Opened, incarnation: u64) -> Result<(), StoreError> {
    if opened.incarnation == incarnation {
        return Ok(());
    }
    let message = "the store was reopened: what this worker holds is to be loaded anew";
    Err(StoreError::new(StoreErrorKind::Lost, message))
}

struct Writer<'store> {
    opened: &'store Opened,
    snapshot: Snapshot,
    batch: OwnedWriteBatch,
    buffers: &'store mut Buffers,
    /// Accounts' own rows, and those of tenants' lanes, as they are stored once the batch is written.
    owners: Vec<(UserKey, UserValue)>,
    lanes: Vec<(UserKey, UserValue)>,
    /// Whether a stored row may be as new as one of the commit's.
    compare: bool,
    /// How far the partition's rows are, and then will be.
    rows: PartitionRows,
}

impl<'store> Writer<'store> {
    fn new(
        opened: &'store Opened,
        buffers: &'store mut Buffers,
        rows: Option<PartitionRows>,
        commit: &Commit,
    ) -> Result<Self, StoreError> {
        let snapshot = opened.database.snapshot();
        let mut rows = match rows {
            Some(rows) => rows,
            None => read::partition_rows(opened, &snapshot, commit.partition)?,
        };
        let (mut lowest_stamp, mut highest_stamp) = (u64::MAX, 0);
        for stamp in stamps(commit) {
            lowest_stamp = lowest_stamp.min(stamp);
            highest_stamp = highest_stamp.max(stamp);
        }
        let compare = lowest_stamp <= rows.highest;
        rows.highest = rows.highest.max(highest_stamp);
        let batch = OwnedWriteBatch::with_capacity(opened.database.clone(), items(commit));
        Ok(Self {
            opened,
            snapshot,
            // To the operating system, not to the disk: what an outage takes back, the log gives again.
            batch: batch.durability(Some(fjall::PersistMode::Buffer)),
            buffers,
            owners: Vec::with_capacity(commit.balances.len()),
            lanes: Vec::with_capacity(commit.rollups.len()),
            compare,
            rows,
        })
    }

    fn journal(&mut self, chunks: &[JournalChunk]) {
        let sorted = sorted(chunks, |chunk| self.spread(&chunk.window.tenant, &chunk.window.account));
        let Buffers { key, chunk: encoder, .. } = &mut *self.buffers;
        for (spread, chunk) in sorted {
            keys::spread_window_prefix(key, spread, &chunk.window);
            if chunk.begins_window {
                // The mark that the window has chunks: one a window, for it was written with whatever lies below.
                self.batch.insert(&self.opened.chunks, key.as_slice(), []);
            }
            keys::put_chunk(key, chunk);
            if let Some(both) = encoder.both(&chunk.facts, MOST_BYTES_OF_ONE_ROW) {
                self.batch.insert(&self.opened.chunks, key.as_slice(), both);
            } else {
                self.batch.insert(&self.opened.chunks, key.as_slice(), encoder.digests(&chunk.facts));
                self.batch.insert(&self.opened.lines, key.as_slice(), encoder.lines(&chunk.facts));
            }
        }
    }

    fn spread(&mut self, tenant: &Tenant, account: &Account) -> Spread {
        keys::spread(&mut self.buffers.key, tenant, account)
    }

    fn accounts(&mut self, commit: &Commit) {
        for account in &commit.accounts {
            keys::account_name(&mut self.buffers.key, account);
            self.batch.insert(&self.opened.accounts, self.buffers.key.as_slice(), []);
        }
    }

    fn balances(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let opened = self.opened;
        for (spread, batch) in sorted(&commit.balances, |batch| self.spread(&batch.key.tenant, &batch.key.account)) {
            keys::spread_account_prefix(&mut self.buffers.key, spread, &batch.key);
            let (rows, applied) = (&batch.rows, batch.applied);
            let own = self.owner(&opened.balances, &opened.recent, applied, rows)?;
            self.owners.push(own);
        }
        Ok(())
    }

    fn rollups(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let opened = self.opened;
        for batch in &commit.rollups {
            keys::lane_prefix(&mut self.buffers.key, &batch.tenant, commit.partition);
            let own = self.owner(&opened.rollups, &opened.recent_lanes, batch.applied, &batch.rows)?;
            self.lanes.push(own);
        }
        Ok(())
    }

    fn partition(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let Commit { partition, head, ref progress, checkpoint, .. } = *commit;
        if self.rows.head < head.sequence {
            self.partition_row(partition, PartitionRow::Head, to_json(&head)?);
            self.rows.head = head.sequence;
        }
        if self.rows.progress.is_none_or(|stored| stored < progress.sequence) {
            self.partition_row(partition, PartitionRow::Progress, to_json(progress)?);
            self.rows.progress = Some(progress.sequence);
        }
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| self.rows.checkpoint < checkpoint.sequence) {
            self.partition_row(partition, PartitionRow::Checkpoint, to_json(&checkpoint)?);
            self.rows.checkpoint = checkpoint.sequence;
        }
        self.partition_row(partition, PartitionRow::Highest, self.rows.highest.to_be_bytes());
        Ok(())
    }

    fn partition_row(&mut self, partition: u16, row: PartitionRow, value: impl Into<UserValue>) {
        self.batch.insert(&self.opened.partitions, keys::partition(partition, row), value);
    }
}

/// In the order of their keys: what is inserted in order finds its neighbours' way still in the processor's cache.
fn sorted<T>(items: &[T], mut spread: impl FnMut(&T) -> Spread) -> Vec<(Spread, &T)> {
    let mut sorted: Vec<(Spread, &T)> = items.iter().map(|item| (spread(item), item)).collect();
    sorted.sort_by_key(|(spread, _)| *spread);
    sorted
}

fn stamps(commit: &Commit) -> impl Iterator<Item = u64> {
    let balances = commit.balances.iter().flat_map(|batch| &batch.rows);
    let rollups = commit.rollups.iter().flat_map(|batch| &batch.rows);
    balances.chain(rollups).map(|(_, balance)| balance.applied)
}

fn items(commit: &Commit) -> usize {
    let balances: usize = commit.balances.iter().map(|batch| batch.rows.len() + 1).sum();
    let rollups: usize = commit.rollups.iter().map(|batch| batch.rows.len() + 1).sum();
    balances + rollups + 3 * commit.journal.len() + commit.accounts.len() + OTHER_ITEMS
}
