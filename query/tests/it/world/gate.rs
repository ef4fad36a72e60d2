//! The embedded store behind a gate: tests count its reads, hold them, let them fail, and pretend that it was reopened.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use store::{Call, Store, StoreError, StoreErrorKind, StoreWrapper};
use tokio::sync::watch;

/// The store, and what a test does to it.
pub struct Gate {
    inner: Arc<dyn Store>,
    fails: AtomicBool,
    panics: AtomicBool,
    held: watch::Sender<Option<Call>>,
    reads: AtomicU64,
    lists: AtomicU64,
    reopened: AtomicU64,
}

impl Gate {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            held: watch::Sender::new(None),
            reads: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
        }
    }

    /// Reads of accounts that have begun.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Reads of lists of accounts that have begun.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::SeqCst)
    }

    /// From now on every read fails, or none.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The next read of an account panics.
    pub fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Reads of this kind stand still after they have read; the others go on.
    pub fn hold(&self, held: Option<Call>) {
        self.held.send_replace(held);
    }

    /// As if the store had been reopened.
    pub fn reopen(&self) {
        self.reopened.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl StoreWrapper for Gate {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    fn pretended_losses(&self) -> u64 {
        self.reopened.load(Ordering::SeqCst)
    }

    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Accounts {
            self.lists.fetch_add(1, Ordering::SeqCst);
        }
        if call == Call::AccountView {
            self.reads.fetch_add(1, Ordering::SeqCst);
            assert!(!self.panics.swap(false, Ordering::SeqCst), "the test asked for a panic");
        }
        if call != Call::Commit && self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the test says no"));
        }
        Ok(())
    }

    async fn after(&self, call: Call) {
        let mut held = self.held.subscribe();
        let _released = held.wait_for(|held| *held != Some(call)).await;
    }
}
