//! A store in memory that can be broken: the port's operations, one batch at a time, with crashes that take back what was
//! not yet synced.

pub(crate) mod answers;
pub(crate) mod requests;

use std::hash::{DefaultHasher, Hash, Hasher};

use ledger::{Account, AccountKey, Balance, BusinessDate, Grain, Place, RowKey, Tenant, WindowKey};

use rand::{RngExt, rngs::StdRng};

pub use super::tables::Put;
use super::tables::{OwnerRows, StoreRules, Tables};
use crate::{
    commit::{AccountBatch, Commit, PartitionState},
    lane::partition_of,
    load::{LoadRequest, Loaded, RowsLoaded, RowsWanted, WindowLoaded},
    log::LogMark,
    store_reading::{
        Ranges,
        buckets::{self, Sizes},
        moment::{MomentRules, View},
        page::{LaunchesPage, Wanted},
    },
};

/// How commits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// As a whole: like the embedded store.
    Atomic,
    /// Batch by batch, in phases: like CQL.
    Stepwise,
}

/// Nodes of a stepwise store; each has its own commit log.
pub const NODES: usize = 3;

/// A store in memory. Its calls are synchronous and never fail; what fails is simulated around it.
#[derive(Clone, Debug)]
pub struct SimulatedStore {
    mode: StoreMode,
    rules: StoreRules,
    sizes: Sizes,
    fold_version: Option<u32>,
    /// What readers see.
    current: Tables,
    /// What a crash of any node leaves.
    durable: Tables,
    /// What replicas hold that have forgotten nothing. Workers never meet them here; a reader's request may be answered by one
    /// of them, and the next by one that has forgotten.
    kept: Tables,
    /// Journal rows that are there for a worker, but not for readers.
    halves: Tables,
    /// Writes that a crash may take back, in the order in which they landed.
    unsynced: Vec<Landed>,
    generations: [u32; NODES],
    /// What went wrong beyond repair: two writes with equal stamps and different bytes.
    broken: Option<String>,
    /// A worker that has stopped an account of this tenant, and one that has not, write different roll-ups.
    damaged_tenant: Option<Tenant>,
}

/// A batch as it landed; the store's own time.
#[derive(Clone, Debug)]
struct Landed {
    at_ms: u64,
    node: usize,
    puts: Vec<Put>,
}

impl SimulatedStore {
    /// An empty store.
    pub fn new(mode: StoreMode) -> Self {
        Self::with_rules(mode, StoreRules::default(), buckets::SIZES)
    }

    /// A store with rules left out, or with small journal buckets.
    pub(crate) fn with_rules(mode: StoreMode, rules: StoreRules, sizes: Sizes) -> Self {
        Self {
            mode,
            rules,
            sizes: Sizes { rules: rules.buckets, ..sizes },
            fold_version: None,
            current: Tables::default(),
            durable: Tables::default(),
            kept: Tables::default(),
            halves: Tables::default(),
            unsynced: Vec::new(),
            generations: [1; NODES],
            broken: None,
            damaged_tenant: None,
        }
    }

    /// How commits are written.
    pub fn mode(&self) -> StoreMode {
        self.mode
    }

    /// Remembers the fold version when the store is empty; says which one filled it.
    pub fn open_generation(&mut self, fold_version: u32) -> u32 {
        *self.fold_version.get_or_insert(fold_version)
    }

    /// What is stored of a partition; the default when nothing is.
    pub fn partition_state(&self, partition: u16) -> PartitionState {
        PartitionState {
            head: self.current.heads.get(&partition).copied().unwrap_or_default(),
            progress: self.current.progress.get(&partition).cloned(),
            checkpoint: self.current.checkpoints.get(&partition).copied().unwrap_or_default(),
        }
    }

    /// All that is asked for, at one moment.
    pub fn load(&self, partition: u16, request: &LoadRequest) -> Loaded {
        let Loaded { accounts, tenants, .. } = self.load_rows(partition, request);
        Loaded { accounts, tenants, windows: self.load_windows(request) }
    }

    /// The rows of a request: what is read first.
    pub fn load_rows(&self, partition: u16, request: &LoadRequest) -> Loaded {
        let mode = self.mode;
        let account =
            |wanted: &RowsWanted<AccountKey>| rows_loaded(mode, wanted, self.current.balances.get(&wanted.owner));
        let tenant = |wanted: &RowsWanted<Tenant>| {
            rows_loaded(mode, wanted, self.current.rollups.get(&(wanted.owner.clone(), partition)))
        };
        Loaded {
            accounts: request.accounts.iter().map(account).collect(),
            tenants: request.tenants.iter().map(tenant).collect(),
            windows: Vec::new(),
        }
    }

    /// The journals of a request: what is read after its rows.
    pub fn load_windows(&self, request: &LoadRequest) -> Vec<WindowLoaded> {
        let load = |window: &WindowKey| WindowLoaded { window: window.clone(), entries: self.entries_at_once(window) };
        request.windows.iter().map(load).collect()
    }

    /// The batches of a commit, in phases: one is written only when the one before is acknowledged; inside a phase any order
    /// will do. An atomic store has one batch.
    pub fn commit_steps(&self, commit: &Commit) -> Vec<Vec<Vec<Put>>> {
        let phases = phases(commit, self.rules);
        if self.mode == StoreMode::Atomic {
            return vec![vec![phases.into_iter().flatten().collect()]];
        }
        let alone = |phase: Vec<Put>| phase.into_iter().map(|put| vec![put]).collect();
        phases.into_iter().map(alone).filter(|phase: &Vec<_>| !phase.is_empty()).collect()
    }

    /// A batch lands.
    pub fn apply(&mut self, puts: &[Put], now_ms: u64) {
        self.sync(now_ms);
        for put in puts {
            let is_damaged =
                matches!(put, Put::Rollups(_, batch) if self.damaged_tenant.as_ref() == Some(&batch.tenant));
            if let Err(what) = self.current.put(put, self.rules)
                && !is_damaged
            {
                self.broken.get_or_insert(what);
            }
        }
        puts.iter().for_each(|put| drop(self.kept.put(put, self.rules)));
        let node = puts.first().map_or(0, |put| self.node_of(put));
        self.unsynced.push(Landed { at_ms: now_ms, node, puts: puts.to_vec() });
    }

    /// A journal write that was never acknowledged lands on few replicas. A worker reads the column of the digests, and what
    /// it reads is repaired on all of them; the other columns are not, and no reader finds the launches.
    pub(crate) fn apply_half(&mut self, puts: &[Put]) {
        for put in puts.iter().filter(|put| matches!(put, Put::Journal(_))) {
            drop(self.halves.put(put, self.rules));
        }
    }

    /// The highest head or progress of a lane, and the highest row that is there for a worker.
    pub(crate) fn highest_seen(&self, lane: u16, partitions: u16) -> (u64, u64) {
        let (claimed, rows) = self.current.highest(lane, partitions);
        (claimed, rows.max(self.halves.highest(lane, partitions).1))
    }

    /// A write of an account's rows that was never acknowledged lands on few replicas: a reader may see the batch, or, where
    /// these are repaired, no more than its static columns.
    pub(crate) fn reach_few(&mut self, puts: &[Put]) {
        puts.iter().filter(|put| matches!(put, Put::Balances(_))).for_each(|put| drop(self.kept.put(put, self.rules)));
    }

    /// Writes a commit, all of it.
    pub fn commit(&mut self, commit: &Commit, now_ms: u64) {
        for batch in self.commit_steps(commit).into_iter().flatten() {
            self.apply(&batch, now_ms);
        }
    }

    /// Moves the checkpoint forward.
    pub fn write_checkpoint(&mut self, partition: u16, checkpoint: LogMark, now_ms: u64) {
        self.apply(&[Put::Checkpoint(partition, checkpoint)], now_ms);
    }

    /// An account's rows in these ranges, and its static `applied`.
    pub fn account_view(&self, key: &AccountKey, ranges: &Ranges) -> View {
        self.view_at_once(key, ranges)
    }

    /// A tenant's roll-up rows of one lane.
    pub fn rollup_view(&self, tenant: &Tenant, partition: u16, ranges: &Ranges) -> RowsLoaded<Tenant> {
        let (applied, rows) = view(self.current.rollups.get(&(tenant.clone(), partition)), ranges);
        RowsLoaded { owner: tenant.clone(), applied, rows }
    }

    /// Launches of a window behind `after` with a sequence up to `upto`, at most `limit`; whether there are more.
    pub fn launches(&self, window: &WindowKey, after: Option<Place>, upto: u64, limit: usize) -> LaunchesPage {
        self.launches_at_once(window, Wanted { after, upto, limit })
    }

    /// How readers read it.
    pub(crate) fn reading(&self) -> requests::Reading {
        requests::Reading { mode: self.mode, sizes: self.sizes, moment: MomentRules::new(MOMENT_ATTEMPTS) }
    }

    /// Accounts of a tenant behind `after`, at most `limit`.
    pub fn accounts(&self, tenant: &Tenant, after: Option<&Account>, limit: usize) -> Vec<Account> {
        let accounts = self.current.accounts.get(tenant).into_iter().flatten();
        accounts.filter(|account| after.is_none_or(|after| *account > after)).take(limit).cloned().collect()
    }

    /// How often each node has started.
    pub fn generations(&self) -> [u32; NODES] {
        self.generations
    }

    /// Two writes with equal stamps and different bytes, if there were any.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Every replica is an older one.
    pub(crate) fn forget_what_is_kept(&mut self) {
        self.kept = self.current.clone();
    }

    /// What a crash would leave.
    pub(crate) fn durable(&self) -> &Tables {
        &self.durable
    }

    /// What readers see.
    pub(crate) fn current(&self) -> &Tables {
        &self.current
    }

    /// Makes what landed more than a sync period ago durable. An atomic store syncs when it likes: here never.
    pub(crate) fn sync(&mut self, now_ms: u64) {
        let synced = self.unsynced.iter().take_while(|landed| landed.at_ms + SYNC_PERIOD_MS <= now_ms).count();
        if self.mode == StoreMode::Stepwise {
            for landed in self.unsynced.drain(..synced) {
                landed.puts.iter().for_each(|put| drop(self.durable.put(put, self.rules)));
            }
        }
    }

    /// A node crashes and loses what landed on it after `cut_ms`, but nothing that was synced. An atomic store has one
    /// node, and is reopened at an older state.
    pub(crate) fn crash(&mut self, node: usize, cut_ms: u64, now_ms: u64) {
        self.sync(now_ms);
        let is_lost =
            |landed: &Landed| (self.mode == StoreMode::Atomic || landed.node == node) && landed.at_ms > cut_ms;
        self.unsynced.retain(|landed| !is_lost(landed));
        self.generations[node] += 1;
        if self.mode == StoreMode::Atomic {
            self.kept = Tables::default();
        }
        self.current = self.durable.clone();
        for put in self.unsynced.iter().flat_map(|landed| &landed.puts) {
            drop(self.current.put(put, self.rules));
        }
    }

    /// Miscounts a day's row that lies at or below its lane's checkpoint: nobody writes it again. Whose row, and its lane.
    pub(crate) fn damage_a_day(&mut self, rng: &mut StdRng, partitions: u16) -> Option<(AccountKey, u16)> {
        let is_settled = |account: &AccountKey, key: &RowKey, balance: &Balance| {
            let checkpoint = self.current.checkpoints.get(&partition_of(account, partitions));
            key.grain == Grain::Day && checkpoint.is_some_and(|checkpoint| balance.applied <= checkpoint.sequence)
        };
        let days = self.current.balances.iter().flat_map(|(account, owner)| {
            let days = owner.rows.iter().filter(|(key, balance)| is_settled(account, key, balance));
            days.map(move |(key, _)| (account.clone(), *key))
        });
        let days: Vec<(AccountKey, RowKey)> = days.collect();
        if days.is_empty() {
            return None;
        }
        let (account, key) = days[rng.random_range(0..days.len())].clone();
        for tables in [&mut self.current, &mut self.durable, &mut self.kept] {
            tables.balances.get_mut(&account).into_iter().for_each(|owner| owner.miscount(&key));
        }
        let lane = partition_of(&account, partitions);
        self.damaged_tenant = Some(account.tenant.clone());
        Some((account, lane))
    }

    /// Which node keeps the partition that a batch is written into.
    fn node_of(&self, put: &Put) -> usize {
        let mut hasher = DefaultHasher::new();
        match put {
            Put::Head(partition, _) | Put::Progress(partition, _) | Put::Checkpoint(partition, _) => {
                partition.hash(&mut hasher);
            }
            Put::Journal(chunk) => (&chunk.window, chunk.bucket).hash(&mut hasher),
            Put::Account(key) => key.tenant.hash(&mut hasher),
            Put::Balances(batch) => batch.key.hash(&mut hasher),
            Put::Rollups(partition, batch) => (&batch.tenant, partition).hash(&mut hasher),
        }
        usize::try_from(hasher.finish() % NODES as u64).unwrap_or(0)
    }
}

/// How often rows are read that change meanwhile.
const MOMENT_ATTEMPTS: usize = 64;

/// After so long a node has synced its commit log.
pub(crate) const SYNC_PERIOD_MS: u64 = 10_000;

/// The parts of a commit in the order in which they must be acknowledged. Parts whose order is a rule that is left out are
/// written together.
fn phases(commit: &Commit, rules: StoreRules) -> Vec<Vec<Put>> {
    let partition = commit.partition;
    let journal = commit.journal.iter().cloned().map(Put::Journal);
    let accounts = commit.accounts.iter().cloned().map(Put::Account);
    let rows = commit.balances.iter().cloned().flat_map(|batch| cut(batch, rules)).map(Put::Balances);
    let phases = [
        (true, vec![Put::Head(partition, commit.head)]),
        (rules.head_first, journal.chain(accounts).collect()),
        (rules.journal_before_rows, rows.collect()),
        (true, commit.rollups.iter().cloned().map(|batch| Put::Rollups(partition, batch)).collect()),
        (rules.progress_after_rows, vec![Put::Progress(partition, commit.progress.clone())]),
        (true, commit.checkpoint.iter().map(|mark| Put::Checkpoint(partition, *mark)).collect()),
    ];
    let mut ordered: Vec<Vec<Put>> = Vec::new();
    for (is_later, puts) in phases {
        match ordered.last_mut().filter(|_| !is_later) {
            Some(before) => before.extend(puts),
            None => ordered.push(puts),
        }
    }
    ordered
}

/// An account's rows are one batch; row by row only where that rule is left out.
fn cut(batch: AccountBatch, rules: StoreRules) -> Vec<AccountBatch> {
    if rules.account_rows_are_one_batch {
        return vec![batch];
    }
    let AccountBatch { key, applied, rows } = batch;
    rows.into_iter().map(|row| AccountBatch { key: key.clone(), applied, rows: vec![row] }).collect()
}

fn rows_loaded<Owner: Clone>(
    mode: StoreMode,
    wanted: &RowsWanted<Owner>,
    stored: Option<&OwnerRows>,
) -> RowsLoaded<Owner> {
    let rows = stored.map_or_else(Vec::new, |stored| match mode {
        StoreMode::Atomic => rows_of_starts(wanted, stored),
        StoreMode::Stepwise => rows_of_all(wanted, stored),
    });
    RowsLoaded { owner: wanted.owner.clone(), applied: stored.map(|stored| stored.applied), rows }
}

/// As the embedded store loads them.
fn rows_of_starts<Owner>(wanted: &RowsWanted<Owner>, stored: &OwnerRows) -> Vec<(RowKey, Balance)> {
    let days = wanted.days.iter().map(|start| (Grain::Day, *start));
    let months = wanted.months.iter().map(|start| (Grain::Month, *start));
    let lifetime = wanted.lifetime.then_some((Grain::Lifetime, BusinessDate::MIN));
    let mut rows = Vec::new();
    days.chain(months).chain(lifetime).for_each(|start| stored.add_split(start, &mut rows));
    rows
}

fn rows_of_all<Owner>(wanted: &RowsWanted<Owner>, stored: &OwnerRows) -> Vec<(RowKey, Balance)> {
    let is_wanted = |key: &RowKey| match key.grain {
        Grain::Day => wanted.days.contains(&key.start),
        Grain::Month => wanted.months.contains(&key.start),
        Grain::Lifetime => wanted.lifetime,
    };
    let rows = stored.rows.iter().filter(|(key, _)| is_wanted(key));
    rows.map(|(key, balance)| (*key, *balance)).collect()
}

fn view(stored: Option<&OwnerRows>, ranges: &Ranges) -> View {
    let Some(stored) = stored else { return (None, Vec::new()) };
    let is_wanted =
        |key: &RowKey| ranges.iter().any(|(grain, from, to)| key.grain == *grain && (*from..=*to).contains(&key.start));
    let rows = stored.rows.iter().filter(|(key, _)| is_wanted(key)).map(|(key, balance)| (*key, *balance)).collect();
    (Some(stored.applied), rows)
}
