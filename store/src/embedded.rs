//! The embedded store: fjall in a folder of its own, for one process.
//!
//! A commit is one atomic batch that reaches the operating system: it survives a crash of the process, and what an outage
//! takes back, the log gives again. Reads go through a snapshot. Work that may touch the disk runs on blocking threads, a
//! bounded number at once.

mod config;
mod folder;
mod generation;
mod journal;
mod keys;
mod lane;
mod lifecycle;
mod opened;
mod owner;
mod read;
mod recent;
mod sync_ahead;
mod value;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
    store_reading::page::Wanted,
};
use tokio::{sync::Semaphore, task::JoinError};

use self::{config::CALL_TIMEOUT, lifecycle::Lifecycle, opened::Opened};
pub use self::{config::EmbeddedConfig, folder::EmbeddedFolder};
use crate::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError, StoreErrorKind};

/// The store in a folder. To be used inside a tokio runtime.
pub struct EmbeddedStore {
    lifecycle: Arc<Lifecycle>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl EmbeddedStore {
    /// Opens the store, or makes it. Blocks while what the last process had not yet sorted is read.
    ///
    /// # Errors
    /// [`StoreErrorKind::Refused`] with one sentence when another process uses the folder, it may not be written, or
    /// holds another format or something else.
    pub fn open(config: EmbeddedConfig) -> Result<Self, StoreError> {
        Self::open_claimed(EmbeddedFolder::claim(&config.folder)?, config)
    }

    /// The same in a folder that was claimed before: its lock is held from then on.
    ///
    /// # Errors
    /// As [`Self::open`], once the folder is claimed.
    pub fn open_claimed(folder: EmbeddedFolder, config: EmbeddedConfig) -> Result<Self, StoreError> {
        Ok(Self {
            lifecycle: Arc::new(Lifecycle::open(folder, config)?),
            reads: Arc::new(Semaphore::new(config::READS_AT_ONCE)),
            writes: Arc::new(Semaphore::new(config::WRITES_AT_ONCE)),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(&self.reads, move |lifecycle| call(&*lifecycle.readable()?)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Lifecycle) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(&self.writes, call).await
    }

    /// Runs a call on a blocking thread. The permit goes with it: a call given up still counts until it has ended.
    async fn run<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        call: impl FnOnce(&Lifecycle) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lifecycle = Arc::clone(&self.lifecycle);
        let permits = Arc::clone(permits);
        let work = async move {
            let permit = permits.acquire_owned().await;
            let watched = Arc::clone(&lifecycle);
            let task = tokio::task::spawn_blocking(move || {
                let result = call(&lifecycle);
                drop((lifecycle, permit));
                result
            });
            task.await.unwrap_or_else(|error| Err(panicked(&watched, &error)))
        };
        let outcome = tokio::time::timeout(CALL_TIMEOUT, work).await.unwrap_or_else(|_| Err(timed_out()));
        outcome.map_err(|error| error.with_remedy(&self.how_to_empty()))
    }
}

/// A panic of the database leaves locks in it that no later call gets past: only reopening helps.
fn panicked(lifecycle: &Lifecycle, error: &JoinError) -> StoreError {
    let message = format!("a call of the store did not end well: {error}");
    match lifecycle.readable_now() {
        Some(opened) if error.is_panic() => lifecycle.broken(&opened, &message),
        _ => StoreError::new(StoreErrorKind::Unavailable, message),
    }
}

fn timed_out() -> StoreError {
    let seconds = CALL_TIMEOUT.as_secs();
    StoreError::new(StoreErrorKind::Unavailable, format!("the store has not answered within {seconds} seconds"))
}

#[async_trait]
impl Store for EmbeddedStore {
    fn commits_atomically(&self) -> bool {
        true
    }

    fn how_to_empty(&self) -> String {
        folder::how_to_empty(self.lifecycle.folder())
    }

    fn incarnation(&self) -> u64 {
        self.lifecycle.incarnation()
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        self.write(move |lifecycle| generation::open(lifecycle, fold_version)).await
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        // Rewritten by each commit, so in memory: a read takes a few microseconds, less than a change of threads.
        match self.lifecycle.readable_now() {
            Some(opened) => {
                read::partition_state(&opened, partition).map_err(|error| error.with_remedy(&self.how_to_empty()))
            }
            None => self.read(move |opened| read::partition_state(opened, partition)).await,
        }
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        let request = request.clone();
        self.write(move |lifecycle| {
            let opened = lifecycle.readable()?;
            write::check_incarnation(&opened, incarnation)?;
            read::load(&opened, partition, &request)
        })
        .await
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        let commit = Arc::clone(commit);
        self.write(move |lifecycle| write::commit(lifecycle, incarnation, &commit)).await
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        self.write(move |lifecycle| write::checkpoint(lifecycle, incarnation, partition, checkpoint)).await
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError> {
        let read = read.clone();
        self.read(move |opened| read::account_view(opened, &read)).await
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError> {
        let window = window.clone();
        let wanted = Wanted { after, upto, limit };
        self.read(move |opened| journal::page(opened, &window, wanted)).await
    }

    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.read(move |opened| read::accounts(opened, &tenant, after.as_ref(), limit)).await
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError> {
        let (tenant, ranges) = (tenant.clone(), ranges.to_vec());
        self.read(move |opened| read::rollup_view(opened, tenant, partition, &ranges)).await
    }
}
