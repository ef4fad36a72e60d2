//! The port: what a worker and a query need of a store.

use std::sync::Arc;

use async_trait::async_trait;
use ledger::{Account, AccountKey, Balance, BusinessDate, Grain, Place, RowKey, Tenant, WindowKey};
pub use protocol::store_reading::page::LaunchesPage;
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// What the store remembers of its projections: workers with other rules must not write into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// The generation that readers see.
    pub generation: u32,
    /// Version of the fold's rules that filled it.
    pub fold_version: u32,
    /// Highest epoch ever used with this store.
    pub epoch_high_water: u8,
    /// Highest generation ever made.
    pub generation_high_water: u32,
}

/// Which balance rows of an account a reader wants: inclusive ranges of row starts by grain, all currencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRead {
    /// The account.
    pub key: AccountKey,
    /// Ranges, see [`ledger::OpeningPlan::ranges`].
    pub ranges: Vec<(Grain, BusinessDate, BusinessDate)>,
}

/// Balance rows of an account, all of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// The static `applied`; `None` for an account never seen.
    pub applied: Option<u64>,
    /// The rows in the ranges, ordered by key, without repeats where ranges overlap.
    pub rows: Vec<(RowKey, Balance)>,
}

/// The store. Workers call the first half, readers the second. Every call is bounded in time by the implementation.
///
/// The rows of an account, and the journals of its windows, are written by one lane only: the one that its name hashes to.
///
/// **Incarnations.** A store that was reopened, or lost a node, may have lost rows that it had acknowledged. A worker notes
/// [`Store::incarnation`] first of all, before it reads [`Store::partition_state`], and passes it with each call that could
/// mix what it holds with what is stored. [`crate::StoreErrorKind::Lost`] says that the store has another one by now: the
/// worker drops everything that it holds and begins anew.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether [`Store::commit`] is atomic and survives a crash of the process as a whole, so that the checkpoint goes
    /// with the commit.
    fn commits_atomically(&self) -> bool;

    /// What an operator does, while nothing runs, to begin with an empty store: words that follow "stop Saldo,".
    fn how_to_empty(&self) -> String {
        "empty the store".to_owned()
    }

    /// Where commits are not atomic: how long after its end a commit may become the checkpoint, in milliseconds. By then every
    /// node has it on its disk, see [`Store::confirm_incarnation`]. 0 where they are.
    fn checkpoint_lag_ms(&self) -> u64 {
        0
    }

    /// Counts the openings of the store, as far as this process knows. It changes only when acknowledged rows may be gone;
    /// caches filled under another incarnation are to be emptied.
    fn incarnation(&self) -> u64;

    /// Returns when every living part of the store has answered, after this was called, that it is still the one of
    /// `incarnation`: what it had acknowledged long before is on its disk, and what was read before is not of an older state.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Lost`] when the store's incarnation is not `incarnation`;
    /// [`crate::StoreErrorKind::Unavailable`] when a part of it does not answer and is not known to be gone.
    async fn confirm_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        if incarnation == self.incarnation() {
            return Ok(());
        }
        Err(StoreError::new(crate::StoreErrorKind::Lost, "the store is not the one that this worker began with"))
    }

    /// Reads the generation record, or makes it when the store is empty.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Refused`] when the stored fold version is not `fold_version`.
    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError>;

    /// What is stored of a partition; the default when nothing is.
    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError>;

    /// Loads rows and journals for the worker of `partition`.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Lost`] when the store's incarnation is not `incarnation`.
    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError>;

    /// Writes a commit, all of it; idempotent, so that after an error the same commit is written again. After an error
    /// other than `Lost` it may or may not have been written.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Lost`] when the store's incarnation is not `incarnation`; nothing is written then.
    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError>;

    /// Moves the checkpoint of a partition forward, where the commit did not.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Lost`] when the store's incarnation is not `incarnation`; nothing is written then.
    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError>;

    /// Reads an account's rows at one moment.
    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError>;

    /// Launches of a window behind `after`, at most `limit` (1 or more), at most those with a sequence up to `upto`. Facts
    /// of one place are never cut apart: such a page may be longer by them.
    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError>;

    /// Accounts of a tenant behind `after` in the order of their names, at most `limit`.
    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError>;

    /// Roll-up rows of a tenant's lane at one moment: inclusive ranges of row starts by grain.
    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError>;
}
