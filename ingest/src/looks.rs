//! Looks at the log that answers from memory wait for.
//!
//! What is remembered says nothing of a log that was made anew or lost its end a moment ago. So an answer from memory needs a look that
//! began after it was asked for. One look at a time serves everybody who came before it began; who comes while it is on
//! its way waits for the next one. However many ask, the log is asked one question after the other.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::{Notify, watch::Sender};

/// Looks, numbered from 1.
#[derive(Debug, Default)]
pub struct Looks {
    begun: AtomicU64,
    wanted: Notify,
    ended: Sender<Ended>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    number: u64,
    is_ours: bool,
}

impl Looks {
    /// Asks for a look that begins after this call. Returns whether it found the log that is remembered, with everything that it was
    /// known to have. Cancel safe.
    pub async fn look(&self) -> bool {
        let mut ended = self.ended.subscribe();
        let number = self.begun.load(SeqCst) + 1;
        self.wanted.notify_one();
        ended.wait_for(|ended| ended.number >= number).await.is_ok_and(|ended| ended.is_ours)
    }

    /// Waits until somebody asks for a look.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A look begins. Returns its number.
    pub fn begin(&self) -> u64 {
        self.begun.fetch_add(1, SeqCst) + 1
    }

    /// The look of this number has ended.
    pub fn end(&self, number: u64, is_ours: bool) {
        self.ended.send_replace(Ended { number, is_ours });
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Arc};

    use futures_util::{FutureExt, future::join_all, poll};

    use super::*;

    #[tokio::test]
    async fn a_look_that_is_on_its_way_already_serves_nobody_who_comes_now() {
        let looks = Looks::default();
        let first = looks.begin();
        let mut waiting = pin!(looks.look());
        assert!(poll!(&mut waiting).is_pending());
        looks.end(first, true);
        assert!(poll!(&mut waiting).is_pending(), "it began before");
        assert!(looks.wanted().now_or_never().is_some());
        let second = looks.begin();
        looks.end(second, false);
        assert!(!waiting.await, "the log is another");
    }

    #[tokio::test]
    async fn one_look_serves_all_who_came_before_it_began() {
        let looks = Arc::new(Looks::default());
        let mut waiting = Box::pin(join_all((0..1_000).map(|_| looks.look())));
        assert!(poll!(&mut waiting).is_pending());
        assert!(looks.wanted().now_or_never().is_some());
        assert!(looks.wanted().now_or_never().is_none(), "once for all");
        let number = looks.begin();
        looks.end(number, true);
        assert!(waiting.await.into_iter().all(|is_ours| is_ours));
    }
}
