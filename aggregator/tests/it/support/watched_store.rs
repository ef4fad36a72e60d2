//! The real store, with failures injected, and watched: whoever writes a row with a stamp, it must be the same row.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use ledger::{Account, AccountKey, Balance, BusinessDate, Grain, Place, RowKey, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
};
use store::{
    AccountRead, AccountView, EmbeddedConfig, EmbeddedStore, GenerationRecord, LaunchesPage, Store, StoreError,
    StoreErrorKind,
};

/// What becomes of a commit.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is written.
    None,
    /// It is not written.
    Unwritten,
    /// It is written, but the answer says that the store is unavailable.
    AnswerLost,
    /// The store has another incarnation from now on.
    Lost,
}

/// A store, the embedded one in a folder unless another is given.
pub struct WatchedStore {
    inner: Arc<dyn Store>,
    is_down: AtomicBool,
    incarnations: AtomicU64,
    faults: Mutex<VecDeque<Fault>>,
    rows: Mutex<BTreeMap<(AccountKey, RowKey, u64), Balance>>,
    contradictions: AtomicU64,
}

impl WatchedStore {
    pub fn open(folder: &std::path::Path) -> anyhow::Result<Self> {
        Ok(Self::over(Arc::new(EmbeddedStore::open(EmbeddedConfig::new(folder))?)))
    }

    pub fn over(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            is_down: AtomicBool::default(),
            incarnations: AtomicU64::default(),
            faults: Mutex::default(),
            rows: Mutex::default(),
            contradictions: AtomicU64::default(),
        }
    }

    /// From now on every call of a worker fails, or does not fail any more.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, SeqCst);
    }

    /// What becomes of the next commits.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// How often a row was written with a stamp that it had been written with before, but with other totals.
    pub fn contradictions(&self) -> u64 {
        self.contradictions.load(SeqCst)
    }

    fn check(&self, incarnation: u64) -> Result<u64, StoreError> {
        if self.is_down.load(SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the test says that the store is down"));
        }
        if incarnation != self.incarnation() {
            return Err(StoreError::new(StoreErrorKind::Lost, "the test says that rows are lost"));
        }
        Ok(incarnation - self.incarnations.load(SeqCst))
    }

    fn watch(&self, commit: &Commit) {
        let mut rows = self.rows.lock().unwrap();
        for batch in &commit.balances {
            for (key, balance) in &batch.rows {
                let known = rows.entry((batch.key.clone(), *key, balance.applied)).or_insert(*balance);
                if known != balance {
                    self.contradictions.fetch_add(1, SeqCst);
                }
            }
        }
    }
}

#[async_trait]
impl Store for WatchedStore {
    fn commits_atomically(&self) -> bool {
        self.inner.commits_atomically()
    }

    fn checkpoint_lag_ms(&self) -> u64 {
        self.inner.checkpoint_lag_ms()
    }

    async fn confirm_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        let inner = self.check(incarnation)?;
        self.inner.confirm_incarnation(inner).await
    }

    fn incarnation(&self) -> u64 {
        self.inner.incarnation() + self.incarnations.load(SeqCst)
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        self.inner.open_generation(fold_version).await
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        self.check(self.incarnation())?;
        self.inner.partition_state(partition).await
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        let inner = self.check(incarnation)?;
        self.inner.load(inner, partition, request).await
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        let inner = self.check(incarnation)?;
        let fault = self.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::None => {
                self.watch(commit);
                self.inner.commit(inner, commit).await
            }
            Fault::Unwritten => Err(StoreError::new(StoreErrorKind::Unavailable, "not written, as the test asked")),
            Fault::AnswerLost => {
                self.watch(commit);
                self.inner.commit(inner, commit).await?;
                Err(StoreError::new(StoreErrorKind::Unavailable, "written, but the answer is lost, as the test asked"))
            }
            Fault::Lost => {
                self.incarnations.fetch_add(1, SeqCst);
                Err(StoreError::new(StoreErrorKind::Lost, "rows are lost, as the test asked"))
            }
        }
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        let inner = self.check(incarnation)?;
        self.inner.write_checkpoint(inner, partition, checkpoint).await
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError> {
        self.inner.account_view(read).await
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError> {
        self.inner.launches(window, after, upto, limit).await
    }

    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        self.inner.accounts(tenant, after, limit).await
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError> {
        self.inner.rollup_view(tenant, partition, ranges).await
    }
}
