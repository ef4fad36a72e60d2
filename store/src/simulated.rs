//! The simulation's store behind the port: in memory, and stopped between the steps of a commit when a test wants it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
    simulation::store::{SimulatedStore, StoreMode},
};

use crate::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError, StoreErrorKind};

/// A store in memory, for tests: of a process, or of the conformance suite itself.
pub struct MemoryStore {
    state: Mutex<State>,
    incarnation: AtomicU64,
}

struct State {
    store: SimulatedStore,
    /// Steps that commits may still take; `None` when nothing is to fail.
    steps_left: Option<usize>,
}

/// The simulated store's own time only tells what a simulated outage takes back, and there is none here.
const NOW_MS: u64 = 0;
const FIRST_INCARNATION: u64 = 1;
/// As that of a server that syncs its commit log every ten seconds.
const CHECKPOINT_LAG_MS: u64 = 20_000;

impl MemoryStore {
    /// An empty store.
    pub fn new(mode: StoreMode) -> Self {
        let state = State { store: SimulatedStore::new(mode), steps_left: None };
        Self { state: Mutex::new(state), incarnation: AtomicU64::new(FIRST_INCARNATION) }
    }

    /// Lets commits fail when they have taken so many steps more. False when commits have no steps.
    pub fn fail_after_steps(&self, steps: usize) -> bool {
        let mut state = self.state();
        state.steps_left = Some(steps);
        state.store.mode() == StoreMode::Stepwise
    }

    /// Ends failing, and makes workers begin anew.
    pub fn reopen(&self) {
        self.state().steps_left = None;
        self.incarnation.fetch_add(1, Ordering::AcqRel);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        if incarnation == self.incarnation() {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::Lost, "the store was reopened"))
    }
}

impl State {
    fn step(&mut self) -> Result<(), StoreError> {
        match &mut self.steps_left {
            Some(0) => Err(StoreError::new(StoreErrorKind::Unavailable, "a test stopped the commit here")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn commits_atomically(&self) -> bool {
        self.state().store.mode() == StoreMode::Atomic
    }

    fn checkpoint_lag_ms(&self) -> u64 {
        if self.commits_atomically() { 0 } else { CHECKPOINT_LAG_MS }
    }

    fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        let stored = self.state().store.open_generation(fold_version);
        GenerationRecord::first(stored).check_fold_version(fold_version)
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        Ok(self.state().store.partition_state(partition))
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        self.check_incarnation(incarnation)?;
        Ok(self.state().store.load(partition, request))
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        self.check_incarnation(incarnation)?;
        let steps = self.state().store.commit_steps(commit);
        for batch in steps.into_iter().flatten() {
            // The lock is let go of between the steps: readers and other workers see what is between them.
            let mut state = self.state();
            state.step()?;
            state.store.apply(&batch, NOW_MS);
        }
        Ok(())
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        self.check_incarnation(incarnation)?;
        self.state().store.write_checkpoint(partition, checkpoint, NOW_MS);
        Ok(())
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError> {
        let (applied, rows) = self.state().store.account_view(&read.key, &read.ranges);
        Ok(AccountView { applied, rows })
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError> {
        Ok(self.state().store.launches(window, after, upto, limit))
    }

    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        Ok(self.state().store.accounts(tenant, after, limit))
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError> {
        Ok(self.state().store.rollup_view(tenant, partition, ranges))
    }
}
