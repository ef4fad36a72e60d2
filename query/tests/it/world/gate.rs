//! The embedded store behind a gate: tests count its reads, hold them, let them fail, and pretend that it was reopened.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
};
use store::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError, StoreErrorKind};
use tokio::sync::watch;

type Result<T> = std::result::Result<T, StoreError>;

/// The store, and what a test does to it.
pub struct Gate {
    inner: Arc<dyn Store>,
    fails: AtomicBool,
    panics: AtomicBool,
    open: watch::Sender<bool>,
    reads: AtomicU64,
    reopened: AtomicU64,
}

impl Gate {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            open: watch::Sender::new(true),
            reads: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
        }
    }

    /// Reads of accounts that have begun.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// From now on every read fails, or none.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The next read of an account panics.
    pub fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Reads of accounts stand still after they have read, or go on.
    pub fn hold(&self, holds: bool) {
        self.open.send_replace(!holds);
    }

    /// As if the store had been reopened.
    pub fn reopen(&self) {
        self.reopened.fetch_add(1, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the test says no"));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Gate {
    fn commits_atomically(&self) -> bool {
        self.inner.commits_atomically()
    }

    fn incarnation(&self) -> u64 {
        self.inner.incarnation() + self.reopened.load(Ordering::SeqCst)
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord> {
        self.check()?;
        self.inner.open_generation(fold_version).await
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState> {
        self.check()?;
        self.inner.partition_state(partition).await
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded> {
        self.inner.load(incarnation, partition, request).await
    }

    async fn commit(&self, _incarnation: u64, commit: &Arc<Commit>) -> Result<()> {
        self.inner.commit(self.inner.incarnation(), commit).await
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<()> {
        self.inner.write_checkpoint(incarnation, partition, checkpoint).await
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the test asked for a panic");
        self.check()?;
        let view = self.inner.account_view(read).await;
        let mut open = self.open.subscribe();
        let _opened = open.wait_for(|open| *open).await;
        view
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage> {
        self.check()?;
        self.inner.launches(window, after, upto, limit).await
    }

    async fn accounts(&self, tenant: &Tenant, after: Option<&Account>, limit: usize) -> Result<Vec<Account>> {
        self.check()?;
        self.inner.accounts(tenant, after, limit).await
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>> {
        self.inner.rollup_view(tenant, partition, ranges).await
    }
}
