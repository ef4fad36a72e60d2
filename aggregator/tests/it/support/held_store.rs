//! A worker's view of the store that stands still at its commits, as a process that was stopped there, and wakes late.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
};
use store::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError};
use tokio::sync::watch;

use super::WatchedStore;

/// The same store for this worker; commits wait while they are held.
pub struct HeldStore {
    inner: Arc<WatchedStore>,
    /// How many of the commits may go on, in the order in which they came to stand still.
    allowed: watch::Sender<u64>,
    held: AtomicU64,
    written_late: AtomicU64,
}

impl HeldStore {
    pub fn new(inner: Arc<WatchedStore>) -> Self {
        let allowed = watch::Sender::new(u64::MAX);
        Self { inner, allowed, held: AtomicU64::new(0), written_late: AtomicU64::new(0) }
    }

    /// From now on commits stop before the store is asked.
    pub fn hold(&self) {
        self.allowed.send_replace(0);
    }

    /// Lets the first commits that stand still go on; later ones stand still.
    pub fn wake_first(&self, commits: u64) {
        self.allowed.send_replace(commits);
    }

    /// Lets all go on.
    pub fn wake(&self) {
        self.allowed.send_replace(u64::MAX);
    }

    /// Commits that stand still or stood still.
    pub fn held(&self) -> u64 {
        self.held.load(SeqCst)
    }

    /// Commits that stood still and were given to the store after they woke.
    pub fn written_late(&self) -> u64 {
        self.written_late.load(SeqCst)
    }
}

#[async_trait]
impl Store for HeldStore {
    fn commits_atomically(&self) -> bool {
        self.inner.commits_atomically()
    }

    fn incarnation(&self) -> u64 {
        self.inner.incarnation()
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        self.inner.open_generation(fold_version).await
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        self.inner.partition_state(partition).await
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        self.inner.load(incarnation, partition, request).await
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        if *self.allowed.borrow() == u64::MAX {
            return self.inner.commit(incarnation, commit).await;
        }
        let number = self.held.fetch_add(1, SeqCst) + 1;
        // Unwrap safety: the sender lives as long as this does.
        self.allowed.subscribe().wait_for(|allowed| *allowed >= number).await.unwrap();
        let written = self.inner.commit(incarnation, commit).await;
        self.written_late.fetch_add(1, SeqCst);
        written
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        self.inner.write_checkpoint(incarnation, partition, checkpoint).await
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
