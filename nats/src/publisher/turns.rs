//! Turns: how many messages of all lanes are on their way at once.
//!
//! The log stores one message after the other, whatever their lanes. What matters for small ones is how many launches share a
//! sync: one sent before its turn would only wait at the server, closed to those who come meanwhile. A large one is full
//! already, or soon will be: there the log must not wait until an acknowledgement has travelled, and a busy process has
//! found time for the next.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::PublisherConfig;

/// What a lane has waiting from here on is a large message: some 300 launches. Storing its bytes takes as long as syncing them.
pub(super) const LARGE_BYTES: usize = 64 * 1024;
/// Large messages of one lane, where small ones are one at a time: the next is with the server when one has been stored.
const LARGE_OF_A_LANE: usize = 2;
/// Messages of all lanes while they are large: two for each of four lanes; at most 4 MiB.
const LARGE_OF_ALL: usize = 8;

/// Shared by all lanes of a publisher.
#[derive(Debug)]
pub(super) struct Turns {
    small: Arc<Semaphore>,
    all: Arc<Semaphore>,
    of_a_lane: usize,
    patience: Duration,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _small: Option<OwnedSemaphorePermit>,
    _any: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(config: &PublisherConfig) -> Self {
        let small = config.all_messages_in_flight.max(1);
        Self {
            small: Arc::new(Semaphore::new(small)),
            all: Arc::new(Semaphore::new(small.max(LARGE_OF_ALL))),
            of_a_lane: config.messages_in_flight.max(1),
            patience: Duration::from_millis(config.turn_patience_ms),
        }
    }

    /// From how many waiting bytes on a lane may send, that has so many messages on their way; `None` when it may not.
    pub(super) fn sends_from(&self, in_flight: usize) -> Option<usize> {
        if in_flight < self.of_a_lane {
            Some(1)
        } else if in_flight < LARGE_OF_A_LANE {
            Some(LARGE_BYTES)
        } else {
            None
        }
    }

    /// Waits for the turn of a message of about so many bytes; `None` when patience is over.
    pub(super) async fn turn(&self, bytes: usize) -> Option<Turn> {
        timeout(self.patience, self.wait(bytes)).await.ok()?
    }

    /// A turn for a further message of a lane that has some on their way, if it is there at once. Waiting for it would be
    /// waiting for itself: such a lane gives turns back only as it hears answers.
    pub(super) fn further(&self, bytes: usize) -> Option<Turn> {
        let small = if bytes < LARGE_BYTES { Some(Arc::clone(&self.small).try_acquire_owned().ok()?) } else { None };
        Some(Turn { _small: small, _any: Arc::clone(&self.all).try_acquire_owned().ok()? })
    }

    async fn wait(&self, bytes: usize) -> Option<Turn> {
        let small = if bytes < LARGE_BYTES { Some(Arc::clone(&self.small).acquire_owned().await.ok()?) } else { None };
        Some(Turn { _small: small, _any: Arc::clone(&self.all).acquire_owned().await.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> Turns {
        Turns::new(&PublisherConfig {
            all_messages_in_flight: 1,
            turn_patience_ms: 10_000,
            ..PublisherConfig::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn small_messages_wait_for_each_other() {
        let turns = turns();
        let first = turns.turn(100).await.unwrap();
        assert!(turns.turn(100).await.is_none(), "patience is over");
        drop(first);
        assert!(turns.turn(100).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn large_messages_wait_for_none_but_many() {
        let turns = turns();
        let small = turns.turn(100).await.unwrap();
        let mut large = Vec::new();
        for _ in 1..LARGE_OF_ALL {
            large.push(turns.turn(LARGE_BYTES).await.unwrap());
        }
        assert!(turns.turn(LARGE_BYTES).await.is_none(), "patience is over");
        drop(small);
        assert!(turns.turn(LARGE_BYTES).await.is_some());
        assert!(turns.turn(100).await.is_some(), "a small one finds room among large ones");
    }

    #[tokio::test(start_paused = true)]
    async fn a_further_message_finds_a_turn_at_once_or_not_at_all() {
        let turns = turns();
        let small = turns.further(100).unwrap();
        assert!(turns.further(100).is_none());
        let large: Vec<_> = (1..LARGE_OF_ALL).map(|_| turns.further(LARGE_BYTES).unwrap()).collect();
        assert!(turns.further(LARGE_BYTES).is_none());
        drop(small);
        assert!(turns.further(100).is_some(), "what is dropped is free, of both kinds");
        drop(large);
    }

    #[test]
    fn a_lane_has_more_messages_on_their_way_while_they_are_large() {
        let turns = turns();
        assert_eq!(turns.sends_from(0), Some(1));
        assert_eq!(turns.sends_from(1), Some(LARGE_BYTES));
        assert_eq!(turns.sends_from(LARGE_OF_A_LANE), None);
        let many = Turns::new(&PublisherConfig { messages_in_flight: 3, ..PublisherConfig::default() });
        assert_eq!(many.sends_from(2), Some(1));
        assert_eq!(many.sends_from(3), None);
    }
}
