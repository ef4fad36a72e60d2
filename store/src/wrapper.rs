//! A store in front of another. Tests use it to count calls, to hold them up, to let them fail, and to pretend that rows were
//! lost, without writing down the whole port again.

use std::sync::Arc;

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
};

use crate::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError, StoreErrorKind};

/// The calls that reach the store behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the method of `Store` of that name")]
pub enum Call {
    ConfirmIncarnation,
    OpenGeneration,
    PartitionState,
    Load,
    Commit,
    WriteCheckpoint,
    AccountView,
    Launches,
    Accounts,
    RollupView,
}

/// What is done to the calls of another store. Whoever implements it is a [`Store`].
#[async_trait]
pub trait StoreWrapper: Send + Sync + 'static {
    /// The store behind.
    fn inner(&self) -> &dyn Store;

    /// How often rows were pretended to be lost: that many incarnations more than the store behind has.
    fn pretended_losses(&self) -> u64 {
        0
    }

    /// Before the store behind is asked; an error is the answer, and it is not asked.
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        Ok(())
    }

    /// When the store behind has answered, and the caller has not heard of it.
    async fn after(&self, _call: Call) {}

    /// Gives a commit to the store behind, whose incarnation is `incarnation`.
    async fn pass_commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        self.inner().commit(incarnation, commit).await
    }
}

/// The incarnation of the store behind.
fn behind(wrapper: &impl StoreWrapper, incarnation: u64) -> Result<u64, StoreError> {
    if incarnation == wrapper.incarnation() {
        return Ok(incarnation - wrapper.pretended_losses());
    }
    Err(StoreError::new(StoreErrorKind::Lost, "rows are pretended to be lost"))
}

/// One call, with what comes before and after it.
macro_rules! pass {
    ($wrapper:ident, $call:ident, $answer:expr) => {{
        $wrapper.before(Call::$call).await?;
        let answer = $answer.await;
        $wrapper.after(Call::$call).await;
        answer
    }};
}

#[async_trait]
impl<W: StoreWrapper> Store for W {
    fn commits_atomically(&self) -> bool {
        self.inner().commits_atomically()
    }

    fn how_to_empty(&self) -> String {
        self.inner().how_to_empty()
    }

    fn checkpoint_lag_ms(&self) -> u64 {
        self.inner().checkpoint_lag_ms()
    }

    fn incarnation(&self) -> u64 {
        self.inner().incarnation() + self.pretended_losses()
    }

    async fn confirm_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        pass!(self, ConfirmIncarnation, self.inner().confirm_incarnation(behind(self, incarnation)?))
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        pass!(self, OpenGeneration, self.inner().open_generation(fold_version))
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        pass!(self, PartitionState, self.inner().partition_state(partition))
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        pass!(self, Load, self.inner().load(behind(self, incarnation)?, partition, request))
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        pass!(self, Commit, self.pass_commit(behind(self, incarnation)?, commit))
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        let inner = self.inner();
        pass!(self, WriteCheckpoint, inner.write_checkpoint(behind(self, incarnation)?, partition, checkpoint))
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError> {
        pass!(self, AccountView, self.inner().account_view(read))
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError> {
        pass!(self, Launches, self.inner().launches(window, after, upto, limit))
    }

    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        pass!(self, Accounts, self.inner().accounts(tenant, after, limit))
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError> {
        pass!(self, RollupView, self.inner().rollup_view(tenant, partition, ranges))
    }
}
