//! A publish on its way, seen by everybody who waits for the same launches.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use nats::{PublishError, PublishErrorKind};
use protocol::deduplication;
use tokio::sync::Notify;

/// How a publish ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its launches are on disk in the log, in the message with this stream sequence.
    Published {
        /// Stream sequence.
        sequence: u64,
    },
    /// Certainly not on the log.
    NotSent(Failure),
    /// May be on the log.
    Unknown(Failure),
}

/// Why a publish did not succeed, as far as callers are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub cause: Cause,
    /// When another attempt may succeed, in seconds.
    pub retry_after_s: u64,
}

/// The causes of a 503; also a label in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The log does not acknowledge, or its queue is full.
    LogUnavailable,
    /// The log has no room.
    LogFull,
    /// The outcome is not known.
    OutcomeUnknown,
    /// The same id is on its way with other content.
    IdPending,
    /// The tenants' settings are too old to derive a date.
    SettingsStale,
    /// The date follows from other data of a time zone than this program has.
    OtherZoneVersion,
    /// More bytes or bulks at once than there is room for.
    Overloaded,
    /// The service is stopping.
    ShuttingDown,
    /// The request that was to publish this broke off before it did.
    BrokenOff,
}

impl Cause {
    /// The cause as a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::LogUnavailable => "log_unavailable",
            Self::LogFull => "log_full",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::IdPending => "id_pending",
            Self::SettingsStale => "settings_stale",
            Self::OtherZoneVersion => "other_zone_version",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::BrokenOff => "broken_off",
        }
    }
}

impl Failure {
    /// A failure after which a second is worth waiting.
    pub fn new(cause: Cause) -> Self {
        Self { cause, retry_after_s: 1 }
    }
}

impl From<&PublishError> for Outcome {
    fn from(error: &PublishError) -> Self {
        let failure = |cause| Failure { cause, retry_after_s: error.retry_after_s };
        match error.kind {
            PublishErrorKind::NotSent | PublishErrorKind::Refused => Self::NotSent(failure(Cause::LogUnavailable)),
            PublishErrorKind::LogFull => Self::NotSent(failure(Cause::LogFull)),
            PublishErrorKind::Unknown => Self::Unknown(failure(Cause::OutcomeUnknown)),
        }
    }
}

/// One publish: its outcome is set once.
#[derive(Debug)]
pub struct Flight {
    number: u64,
    is_listed: AtomicBool,
    outcome: OnceLock<Outcome>,
    settled: Notify,
}

impl Default for Flight {
    fn default() -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        Self {
            number: STARTED.fetch_add(1, Relaxed),
            is_listed: AtomicBool::new(false),
            outcome: OnceLock::new(),
            settled: Notify::new(),
        }
    }
}

impl Flight {
    /// Its number, which no other flight of the process has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether this is asked for the first time: then it is to be listed. Only its owner asks.
    pub fn is_news(&self) -> bool {
        !self.is_listed() && !self.is_listed.swap(true, Relaxed)
    }

    /// Whether that was ever asked.
    pub fn is_listed(&self) -> bool {
        self.is_listed.load(Relaxed)
    }

    /// The outcome, if it is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }

    /// Sets the outcome and wakes everybody. Later calls change nothing.
    pub fn settle(&self, outcome: Outcome) {
        self.outcome.get_or_init(|| outcome);
        self.settled.notify_waiters();
    }

    /// Waits for the outcome. Cancel safe.
    pub async fn wait(&self) -> Outcome {
        loop {
            let settled = self.settled.notified();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            settled.await;
        }
    }
}

impl deduplication::Flight for Flight {
    fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn everybody_sees_the_first_outcome() {
        let flight = Arc::new(Flight::default());
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let flight = Arc::clone(&flight);
                tokio::spawn(async move { flight.wait().await })
            })
            .collect();
        tokio::task::yield_now().await;
        flight.settle(Outcome::Published { sequence: 7 });
        flight.settle(Outcome::NotSent(Failure::new(Cause::LogFull)));
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Outcome::Published { sequence: 7 });
        }
        assert_eq!(flight.wait().await, Outcome::Published { sequence: 7 });
    }
}
