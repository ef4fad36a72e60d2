//! A commit: everything of it in one batch, each row only if it is newer.

use std::sync::Arc;

use fjall::{Keyspace, OwnedWriteBatch, Readable, Snapshot, UserKey, UserValue};
use ledger::{Balance, RowKey};
use protocol::{
    commit::{Commit, JournalChunk},
    log::LogMark,
};

use super::{
    config::MOST_BYTES_OF_ONE_ROW,
    keys::{self, PartitionRow, USUAL_KEY_BYTES},
    lifecycle::Lifecycle,
    opened::Opened,
    owner::Owner,
    read,
    value::{from_json, to_json},
};
use crate::{
    GenerationRecord, StoreError, StoreErrorKind,
    encoding::{decode_stamp, encode_balance, encode_both, encode_digests, encode_lines},
};

/// Room for the batch's items that a commit has besides its rows.
const OTHER_ITEMS: usize = 8;

/// Writes a commit of a worker that began with `incarnation`.
pub(super) fn commit(lifecycle: &Lifecycle, incarnation: u64, commit: &Commit) -> Result<(), StoreError> {
    let opened = writable(lifecycle, incarnation)?;
    let _lane = opened.lane(commit.partition);
    let mut writer = Writer::new(&opened, commit)?;
    writer.journal(&commit.journal);
    writer.accounts(commit);
    writer.balances(commit)?;
    writer.rollups(commit)?;
    writer.partition(commit)?;
    opened.write(writer.batch).map_err(|failure| lifecycle.failed(&opened, failure))?;
    opened.recent.put(writer.owners);
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
    let _lane = opened.lane(partition);
    if read::mark(&opened, &opened.database.snapshot(), partition, PartitionRow::Checkpoint)?.sequence
        >= checkpoint.sequence
    {
        return Ok(());
    }
    let mut batch = opened.database.batch();
    batch.insert(&opened.partitions, keys::partition(partition, PartitionRow::Checkpoint), to_json(&checkpoint)?);
    opened.write(batch).map_err(|failure| lifecycle.failed(&opened, failure))
}

const GENERATION_KEY: &str = "generation";
const FIRST_GENERATION: u32 = 1;

/// Reads or makes the generation record.
pub(super) fn generation(lifecycle: &Lifecycle, fold_version: u32) -> Result<GenerationRecord, StoreError> {
    let opened = lifecycle.writable()?;
    // Any lock will do that all callers share.
    let _lane = opened.lane(0);
    if let Some(stored) = opened.database.snapshot().get(&opened.meta, GENERATION_KEY)? {
        let record: GenerationRecord = from_json(&stored)?;
        return record.check_fold_version(fold_version);
    }
    let record = GenerationRecord::first(fold_version);
    let mut batch = opened.database.batch().durability(Some(fjall::PersistMode::SyncAll));
    batch.insert(&opened.meta, GENERATION_KEY, to_json(&record)?);
    opened.write(batch).map_err(|failure| lifecycle.failed(&opened, failure))?;
    Ok(record)
}

impl GenerationRecord {
    /// The record of an empty store.
    pub(crate) fn first(fold_version: u32) -> Self {
        let (generation, generation_high_water) = (FIRST_GENERATION, FIRST_GENERATION);
        Self { generation, fold_version, epoch_high_water: 0, generation_high_water }
    }

    /// The record, if workers of these rules may write.
    pub(crate) fn check_fold_version(self, fold_version: u32) -> Result<Self, StoreError> {
        if self.fold_version == fold_version {
            return Ok(self);
        }
        let stored = self.fold_version;
        Err(StoreError::new(
            StoreErrorKind::Refused,
            format!(
                "the store was filled by version {stored} of the rules, and this program has version {fold_version}: start \
                 with an empty store, it is filled again from the log"
            ),
        ))
    }
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
    key: Vec<u8>,
    value: Vec<u8>,
    /// Accounts' own rows as they are stored once the batch is written.
    owners: Vec<(UserKey, UserValue)>,
    /// Whether a stored row may be as new as one of the commit's.
    compare: bool,
    /// What [`PartitionRow::Highest`] becomes.
    highest: u64,
}

impl<'store> Writer<'store> {
    fn new(opened: &'store Opened, commit: &Commit) -> Result<Self, StoreError> {
        let snapshot = opened.database.snapshot();
        let highest = read::highest(opened, &snapshot, commit.partition)?;
        let (mut lowest_stamp, mut highest_stamp) = (u64::MAX, 0);
        for stamp in stamps(commit) {
            lowest_stamp = lowest_stamp.min(stamp);
            highest_stamp = highest_stamp.max(stamp);
        }
        let batch = OwnedWriteBatch::with_capacity(opened.database.clone(), items(commit));
        // To the operating system, not to the disk: what an outage takes back, the log gives again.
        let batch = batch.durability(Some(fjall::PersistMode::Buffer));
        Ok(Self {
            opened,
            snapshot,
            batch,
            key: Vec::with_capacity(USUAL_KEY_BYTES),
            value: Vec::new(),
            owners: Vec::with_capacity(commit.balances.len()),
            compare: lowest_stamp <= highest,
            highest: highest.max(highest_stamp),
        })
    }

    fn journal(&mut self, chunks: &[JournalChunk]) {
        for chunk in sorted(chunks, |chunk| keys::spread(&chunk.window.tenant, &chunk.window.account)) {
            if chunk.begins_window {
                // The mark that the window has chunks: one a window, for it was written with whatever lies below.
                keys::window_prefix(&mut self.key, &chunk.window);
                self.batch.insert(&self.opened.chunks, self.key.as_slice(), []);
            }
            keys::chunk(&mut self.key, chunk);
            let key = self.key.as_slice();
            if let Some(both) = encode_both(&chunk.facts, MOST_BYTES_OF_ONE_ROW) {
                self.batch.insert(&self.opened.chunks, key, both);
            } else {
                self.batch.insert(&self.opened.chunks, key, encode_digests(&chunk.facts));
                self.batch.insert(&self.opened.lines, key, encode_lines(&chunk.facts));
            }
        }
    }

    fn accounts(&mut self, commit: &Commit) {
        for account in &commit.accounts {
            keys::account_name(&mut self.key, account);
            self.batch.insert(&self.opened.accounts, self.key.as_slice(), []);
        }
    }

    fn balances(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let opened = self.opened;
        for batch in sorted(&commit.balances, |batch| keys::spread(&batch.key.tenant, &batch.key.account)) {
            keys::account_prefix(&mut self.key, &batch.key);
            let own_key = UserKey::from(keys::static_row(&self.key));
            let stored = match opened.recent.take(&own_key) {
                Some(recent) => Some(recent),
                None => self.snapshot.get(&opened.balances, &own_key)?,
            };
            let written = self.owner(&opened.balances, &own_key, stored.as_ref(), batch.applied, &batch.rows)?;
            self.owners.push((own_key, written));
        }
        Ok(())
    }

    fn rollups(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let opened = self.opened;
        for batch in &commit.rollups {
            keys::lane_prefix(&mut self.key, &batch.tenant, commit.partition);
            let own_key = UserKey::from(keys::static_row(&self.key));
            let stored = self.snapshot.get(&opened.rollups, &own_key)?;
            self.owner(&opened.rollups, &own_key, stored.as_ref(), batch.applied, &batch.rows)?;
        }
        Ok(())
    }

    /// Own row, and other rows of the owner whose prefix is in `key`. Returns the own row as it is then stored.
    fn owner(
        &mut self,
        keyspace: &Keyspace,
        own_key: &UserKey,
        stored: Option<&UserValue>,
        applied: u64,
        rows: &[(RowKey, Balance)],
    ) -> Result<UserValue, StoreError> {
        let mut owner = stored.map_or(Ok(Owner::default()), |stored| Owner::decode(stored))?;
        owner.applied = owner.applied.max(applied);
        let far = if self.compare { owner.take(&self.newer(keyspace, &owner, rows)?) } else { owner.take(rows) };
        for (row, balance) in far {
            self.row(keyspace, &row, &balance);
        }
        let value = UserValue::from(owner.encode());
        if stored != Some(&value) {
            self.batch.insert(keyspace, own_key.clone(), value.clone());
        }
        Ok(value)
    }

    /// The rows that are newer than what is stored of them.
    fn newer(
        &mut self,
        keyspace: &Keyspace,
        owner: &Owner,
        rows: &[(RowKey, Balance)],
    ) -> Result<Vec<(RowKey, Balance)>, StoreError> {
        let mut newer = Vec::with_capacity(rows.len());
        for (row, balance) in rows {
            let stored = match owner.near(row) {
                Some(near) => Some(near.applied),
                None => self.stored_stamp(keyspace, row)?,
            };
            if stored.is_none_or(|stored| stored < balance.applied) {
                newer.push((*row, *balance));
            }
        }
        Ok(newer)
    }

    fn stored_stamp(&mut self, keyspace: &Keyspace, row: &RowKey) -> Result<Option<u64>, StoreError> {
        let stored = self.with_row_key(row, |writer| writer.snapshot.get(keyspace, &writer.key))?;
        Ok(stored.as_deref().map(decode_stamp).transpose()?)
    }

    fn row(&mut self, keyspace: &Keyspace, row: &RowKey, balance: &Balance) {
        self.value.clear();
        encode_balance(&mut self.value, balance);
        self.with_row_key(row, |writer| {
            writer.batch.insert(keyspace, writer.key.as_slice(), writer.value.as_slice());
        });
    }

    /// Acts while `key`, which holds an owner's prefix, is that of a row of it.
    fn with_row_key<T>(&mut self, row: &RowKey, act: impl FnOnce(&mut Self) -> T) -> T {
        let prefix_bytes = self.key.len();
        keys::put_row(&mut self.key, row);
        let outcome = act(self);
        self.key.truncate(prefix_bytes);
        outcome
    }

    fn partition(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let partition = commit.partition;
        self.mark(partition, PartitionRow::Head, commit.head)?;
        let progress = read::progress(self.opened, &self.snapshot, partition)?;
        if progress.is_none_or(|stored| stored.sequence < commit.progress.sequence) {
            self.partition_row(partition, PartitionRow::Progress, to_json(&commit.progress)?);
        }
        if let Some(checkpoint) = commit.checkpoint {
            self.mark(partition, PartitionRow::Checkpoint, checkpoint)?;
        }
        self.partition_row(partition, PartitionRow::Highest, self.highest.to_be_bytes().to_vec());
        Ok(())
    }

    fn mark(&mut self, partition: u16, row: PartitionRow, mark: LogMark) -> Result<(), StoreError> {
        if read::mark(self.opened, &self.snapshot, partition, row)?.sequence < mark.sequence {
            self.partition_row(partition, row, to_json(&mark)?);
        }
        Ok(())
    }

    fn partition_row(&mut self, partition: u16, row: PartitionRow, value: Vec<u8>) {
        self.batch.insert(&self.opened.partitions, keys::partition(partition, row), value);
    }
}

/// In the order of their keys: what is inserted in order finds its neighbours' way still in the processor's cache.
fn sorted<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_by_cached_key(|item| key(item));
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
