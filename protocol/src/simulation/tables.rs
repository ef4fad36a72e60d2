//! The simulated store's tables, and the single-partition batches that are written into them.

mod near;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Account, AccountKey, Balance, Fact, Place, RowKey, Tenant, WindowKey};
use near::Split;

use crate::{
    commit::{AccountBatch, JournalChunk, Progress, RollupBatch},
    lane::partition_of,
    log::LogMark,
    store_reading::{buckets::BucketRules, moment::BatchRow, near::NearRules},
};

/// One write: everything in it lands at once. Each touches one partition of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Up to where rows may exist.
    Head(u16, LogMark),
    /// New launches.
    Journal(JournalChunk),
    /// An account exists.
    Account(AccountKey),
    /// Balance rows with their static `applied`.
    Balances(AccountBatch),
    /// Roll-up rows of a lane with their static `applied`.
    Rollups(u16, RollupBatch),
    /// What readers may claim.
    Progress(u16, Progress),
    /// Where a worker resumes.
    Checkpoint(u16, LogMark),
}

/// Facts of a chunk by (bucket, first, last).
pub(crate) type Chunks = BTreeMap<(u32, Place, Place), Vec<Fact>>;

/// Rows of one owner with the static `applied`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnerRows {
    pub(crate) applied: u64,
    pub(crate) rows: BTreeMap<RowKey, Balance>,
    /// The same as the embedded store keeps them.
    split: Split,
    /// The rows of the batch that brought `applied`, each with its last change.
    batch: Vec<BatchRow>,
}

/// All tables. Rows are put if newer, chunks are added: the order of writes makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) heads: BTreeMap<u16, LogMark>,
    pub(crate) progress: BTreeMap<u16, Progress>,
    pub(crate) checkpoints: BTreeMap<u16, LogMark>,
    pub(crate) journal: BTreeMap<WindowKey, Chunks>,
    pub(crate) accounts: BTreeMap<Tenant, BTreeSet<Account>>,
    pub(crate) balances: BTreeMap<AccountKey, OwnerRows>,
    pub(crate) rollups: BTreeMap<(Tenant, u16), OwnerRows>,
}

/// Rules of the store that the simulation may leave out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreRules {
    /// A row is replaced only by one with a newer stamp.
    pub(crate) put_if_newer: bool,
    /// Head, progress and checkpoint are stamped with their own sequence; without it the last write wins.
    pub(crate) own_stamps: bool,
    /// The head is written before anything that it covers.
    pub(crate) head_first: bool,
    /// Rows are written after the journal.
    pub(crate) journal_before_rows: bool,
    /// Progress is written after the rows.
    pub(crate) progress_after_rows: bool,
    /// The rows of an account are one batch with their static `applied`.
    pub(crate) account_rows_are_one_batch: bool,
    /// How a journal's buckets are read.
    pub(crate) buckets: BucketRules,
    /// Where chunks are found by their span, those that begin before a place and reach behind it are looked for.
    pub(crate) seeks_before_the_place: bool,
    /// How near and far rows are read.
    pub(crate) near: NearRules,
}

impl Default for StoreRules {
    fn default() -> Self {
        Self {
            put_if_newer: true,
            own_stamps: true,
            head_first: true,
            journal_before_rows: true,
            progress_after_rows: true,
            account_rows_are_one_batch: true,
            buckets: BucketRules::ALL,
            seeks_before_the_place: true,
            near: NearRules::ALL,
        }
    }
}

impl Tables {
    /// Writes. The error names two writes with equal stamps and different bytes, which must never happen: a store that
    /// resolves ties cell by cell would mix them.
    pub(crate) fn put(&mut self, put: &Put, rules: StoreRules) -> Result<(), String> {
        match put {
            Put::Head(partition, mark) => {
                newest_mark(self.heads.entry(*partition).or_default(), *mark, rules);
                Ok(())
            }
            Put::Checkpoint(partition, mark) => {
                newest_mark(self.checkpoints.entry(*partition).or_default(), *mark, rules);
                Ok(())
            }
            Put::Progress(partition, progress) => {
                self.put_progress(*partition, progress, rules);
                Ok(())
            }
            Put::Journal(chunk) => self.put_chunk(chunk),
            Put::Account(key) => {
                self.accounts.entry(key.tenant.clone()).or_default().insert(key.account.clone());
                Ok(())
            }
            Put::Balances(batch) => {
                let owner = self.balances.entry(batch.key.clone()).or_default();
                owner.put(batch.applied, &batch.rows, rules).map_err(|what| format!("{:?}: {what}", batch.key))
            }
            Put::Rollups(partition, batch) => {
                let owner = self.rollups.entry((batch.tenant.clone(), *partition)).or_default();
                owner.put(batch.applied, &batch.rows, rules).map_err(|what| format!("{:?}: {what}", batch.tenant))
            }
        }
    }

    /// The highest sequence of a lane that head or progress names, and the highest that a row or a journal holds.
    pub(crate) fn highest(&self, lane: u16, partitions: u16) -> (u64, u64) {
        let head = self.heads.get(&lane).map_or(0, |head| head.sequence);
        let progress = self.progress.get(&lane).map_or(0, |progress| progress.sequence);
        let is_home = |key: &AccountKey| partition_of(key, partitions) == lane;
        let rows = self.balances.iter().filter(|(key, _)| is_home(key)).map(|(_, rows)| rows.applied);
        let rollups = self.rollups.iter().filter(|((_, of), _)| *of == lane).map(|(_, rows)| rows.applied);
        let journals = self.journal.iter().filter(|(window, _)| {
            is_home(&AccountKey { tenant: window.tenant.clone(), account: window.account.clone() })
        });
        let facts = journals.flat_map(|(_, chunks)| chunks.keys().map(|(_, _, last)| last.sequence));
        (head.max(progress), rows.chain(rollups).chain(facts).max().unwrap_or(0))
    }

    fn put_progress(&mut self, partition: u16, progress: &Progress, rules: StoreRules) {
        let known = self.progress.get(&partition).map_or(0, |known| known.sequence);
        if progress.sequence > known || !rules.own_stamps {
            self.progress.insert(partition, progress.clone());
        }
    }

    fn put_chunk(&mut self, chunk: &JournalChunk) -> Result<(), String> {
        let chunks = self.journal.entry(chunk.window.clone()).or_default();
        let key = (chunk.bucket, chunk.first(), chunk.last());
        match chunks.get(&key) {
            Some(known) if *known != chunk.facts => Err(format!("chunk {key:?} of {:?} changed", chunk.window)),
            Some(_) => Ok(()),
            None => {
                chunks.insert(key, chunk.facts.clone());
                Ok(())
            }
        }
    }

    /// The union of a window's chunks, in order, without repeats. A reader takes one bucket after the other, as long as what
    /// it has found says that there may be more.
    pub(crate) fn facts(&self, window: &WindowKey, bucket_facts: u64) -> Vec<Fact> {
        let mut union: BTreeMap<Place, Fact> = BTreeMap::new();
        let mut bucket = 0;
        while u64::from(bucket) <= union.len() as u64 / bucket_facts.max(1) {
            let range = (bucket, Place::default(), Place::default())..(bucket + 1, Place::default(), Place::default());
            let chunks = self.journal.get(window).into_iter().flat_map(|chunks| chunks.range(range.clone()));
            union.extend(chunks.flat_map(|(_, facts)| facts).map(|fact| (fact.place, fact.clone())));
            bucket += 1;
        }
        union.into_values().collect()
    }

    /// The union of all of a window's chunks, in order, without repeats.
    pub(crate) fn all_facts(&self, window: &WindowKey) -> Vec<Fact> {
        let facts = self.journal.get(window).into_iter().flatten().flat_map(|(_, facts)| facts);
        let union: BTreeMap<Place, Fact> = facts.map(|fact| (fact.place, fact.clone())).collect();
        union.into_values().collect()
    }
}

fn newest_mark(known: &mut LogMark, mark: LogMark, rules: StoreRules) {
    if mark.sequence > known.sequence || !rules.own_stamps {
        *known = mark;
    }
}

impl OwnerRows {
    /// The static `applied`, and the rows of the batch that brought it.
    pub(crate) fn last_batch(&self) -> (u64, Vec<BatchRow>) {
        (self.applied, self.batch.clone())
    }

    fn put(&mut self, applied: u64, rows: &[(RowKey, Balance)], rules: StoreRules) -> Result<(), String> {
        self.split.put(rows, rules);
        if applied >= self.applied || !rules.put_if_newer {
            self.applied = applied;
            self.batch = rows.iter().map(|(key, balance)| (*key, balance.changed.sequence)).collect();
        }
        for (key, balance) in rows {
            let known = self.rows.get(key);
            if let Some(known) = known.filter(|known| known.applied == balance.applied && *known != balance) {
                return Err(format!("{key:?} written twice with stamp {}: {known:?} and {balance:?}", known.applied));
            }
            if known.is_none_or(|known| known.applied < balance.applied) || !rules.put_if_newer {
                self.rows.insert(*key, *balance);
            }
        }
        Ok(())
    }
}
