//! The real store, with failures injected, and watched: whoever writes a row with a stamp, it must be the same row.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use ledger::{AccountKey, Balance, RowKey};
use protocol::commit::Commit;
use store::{Call, EmbeddedConfig, EmbeddedStore, Store, StoreError, StoreErrorKind, StoreWrapper};

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
impl StoreWrapper for WatchedStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    fn pretended_losses(&self) -> u64 {
        self.incarnations.load(SeqCst)
    }

    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let is_workers = matches!(
            call,
            Call::ConfirmIncarnation | Call::PartitionState | Call::Load | Call::Commit | Call::WriteCheckpoint
        );
        if is_workers && self.is_down.load(SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the test says that the store is down"));
        }
        Ok(())
    }

    async fn pass_commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        let fault = self.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::None => {
                self.watch(commit);
                self.inner.commit(incarnation, commit).await
            }
            Fault::Unwritten => Err(StoreError::new(StoreErrorKind::Unavailable, "not written, as the test asked")),
            Fault::AnswerLost => {
                self.watch(commit);
                self.inner.commit(incarnation, commit).await?;
                Err(StoreError::new(StoreErrorKind::Unavailable, "written, but the answer is lost, as the test asked"))
            }
            Fault::Lost => {
                self.incarnations.fetch_add(1, SeqCst);
                Err(StoreError::new(StoreErrorKind::Lost, "rows are lost, as the test asked"))
            }
        }
    }
}
