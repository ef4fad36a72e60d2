//! A worker's view of the store that stands still at its commits, as a process that was stopped there, and wakes late.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use async_trait::async_trait;
use protocol::commit::Commit;
use store::{Store, StoreError, StoreWrapper};
use tokio::sync::watch;

use super::WatchedStore;

/// The same store for this worker; commits wait while they are held. What is on its way lands, whether or not anybody waits
/// for it any more.
pub struct HeldStore {
    inner: Arc<WatchedStore>,
    /// How many of the commits may go on, in the order in which they came to stand still.
    allowed: watch::Sender<u64>,
    held: AtomicU64,
    written_late: Arc<AtomicU64>,
}

impl HeldStore {
    pub fn new(inner: Arc<WatchedStore>) -> Self {
        let allowed = watch::Sender::new(u64::MAX);
        Self { inner, allowed, held: AtomicU64::new(0), written_late: Arc::default() }
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
impl StoreWrapper for HeldStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    async fn pass_commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        if *self.allowed.borrow() == u64::MAX {
            return self.inner.commit(incarnation, commit).await;
        }
        let number = self.held.fetch_add(1, SeqCst) + 1;
        let (inner, commit, written_late) =
            (Arc::clone(&self.inner), Arc::clone(commit), Arc::clone(&self.written_late));
        let mut allowed = self.allowed.subscribe();
        let landing = tokio::spawn(async move {
            allowed.wait_for(|allowed| *allowed >= number).await.unwrap();
            let written = inner.commit(incarnation, &commit).await;
            written_late.fetch_add(1, SeqCst);
            written
        });
        landing.await.unwrap()
    }
}
