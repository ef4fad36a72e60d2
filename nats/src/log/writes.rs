//! Whether the log stores what this process sends to it.
//!
//! A nats-server that met a full disk, or an error of it, goes on answering questions about the stream and never stores
//! anything again, also when there is room: it must be restarted. Only the publishers can tell.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Messages sent, on the connection that stands now, since the log last stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// How long ago the first of them left.
    pub first_ago: Duration,
    /// How long ago the last attempt was made: long after it nobody knows without trying again.
    pub last_ago: Duration,
}

/// What the publishers of one process have seen.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    attempts: Mutex<Option<Attempts>>,
    launches: AtomicU64,
}

/// Those since the log last answered one.
#[derive(Debug)]
struct Attempts {
    connection: u64,
    first: Instant,
    last: Instant,
}

impl Writes {
    /// A message left on the connection of this number.
    pub(crate) fn sent(&self, connection: u64, now: Instant) {
        let mut attempts = self.attempts();
        match attempts.as_mut().filter(|attempts| attempts.connection == connection) {
            Some(attempts) => attempts.last = now,
            None => *attempts = Some(Attempts { connection, first: now, last: now }),
        }
    }

    /// The log stored a message, or refused it for a reason of its own: it works.
    pub(crate) fn answered(&self) {
        *self.attempts() = None;
    }

    /// The log stored a message of so many launches, which it did not have before.
    pub(crate) fn stored(&self, launches: u32) {
        self.launches.fetch_add(launches.into(), Relaxed);
    }

    /// How many launches it stored.
    pub(crate) fn launches_stored(&self) -> u64 {
        self.launches.load(Relaxed)
    }

    /// What was sent on the connection of this number and not answered.
    pub(crate) fn unstored(&self, connection: u64, now: Instant) -> Option<Unstored> {
        let attempts = self.attempts();
        let attempts = attempts.as_ref().filter(|attempts| attempts.connection == connection)?;
        let ago = |then| now.saturating_duration_since(then);
        Some(Unstored { first_ago: ago(attempts.first), last_ago: ago(attempts.last) })
    }

    fn attempts(&self) -> MutexGuard<'_, Option<Attempts>> {
        // Each change is one assignment: a panic leaves nothing half-changed.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_counts_from_the_first_message_that_was_not_answered() {
        let (writes, start) = (Writes::default(), Instant::now());
        assert_eq!(writes.unstored(1, start), None);
        writes.sent(1, start);
        writes.sent(1, start + 3 * SECOND);
        let unstored = Unstored { first_ago: 5 * SECOND, last_ago: 2 * SECOND };
        assert_eq!(writes.unstored(1, start + 5 * SECOND), Some(unstored));
        writes.answered();
        assert_eq!(writes.unstored(1, start + 5 * SECOND), None);
    }

    #[test]
    fn another_connection_begins_anew() {
        let (writes, start) = (Writes::default(), Instant::now());
        writes.sent(1, start);
        assert_eq!(writes.unstored(2, start + SECOND), None);
        writes.sent(2, start + 4 * SECOND);
        assert_eq!(writes.unstored(2, start + 5 * SECOND).map(|unstored| unstored.first_ago), Some(SECOND));
    }
}
