//! One handle for "please come to an end", and for how long that may take.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Cheap to clone; every clone sees the same shutdown. It begins once and is never taken back.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    begun: CancellationToken,
    deadline: OnceLock<Instant>,
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it: whoever is asked to stop has `grace` to do so. Later calls change nothing.
    pub fn begin(&self, grace: Duration) {
        self.inner.deadline.get_or_init(|| Instant::now() + grace);
        self.inner.begun.cancel();
    }

    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.inner.begun.is_cancelled()
    }

    /// Waits until it begins. Cancel safe.
    pub async fn begun(&self) {
        self.inner.begun.cancelled().await;
    }

    /// When what was asked to stop must have stopped; `None` before the shutdown begins.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline.get().copied()
    }

    /// Waits until the shutdown has begun and its time is over. Cancel safe.
    pub async fn expired(&self) {
        self.begun().await;
        if let Some(deadline) = self.deadline() {
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// Waits for `duration`, or until the shutdown begins: then `false`.
    pub async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.begun() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_begins_once_for_every_clone() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(!other.is_begun());
        assert_eq!(other.deadline(), None);
        let waiter = tokio::spawn(async move {
            other.expired().await;
            Instant::now()
        });
        let start = Instant::now();
        shutdown.begin(Duration::from_secs(5));
        shutdown.begin(Duration::from_secs(500));
        assert_eq!(waiter.await.unwrap() - start, Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_ends_early_when_it_begins() {
        let shutdown = Shutdown::new();
        assert!(shutdown.sleep(Duration::from_secs(1)).await);
        shutdown.begin(Duration::ZERO);
        assert!(!shutdown.sleep(Duration::from_secs(3_600)).await);
    }
}
