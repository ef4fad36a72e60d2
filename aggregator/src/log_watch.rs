//! Watches the log as a whole: whether it is what the lanes rely on, and whether messages are gone.
//!
//! Which lane a missing message was in cannot be told, so that all lanes' answers are incomplete while one is missing.

use std::{sync::Arc, time::Duration};

use nats::{Log, LogUsage, NatsError};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use protocol::missing::Missing;
use retry::Shutdown;
use tokio::{
    sync::watch::{Receiver, Sender, channel},
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info};

/// Time between two looks at the stream.
const EVERY: Duration = Duration::from_secs(1);
/// What a look may take; the lanes notice by themselves that the log does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// The whole log is read again after so long, for what a disk loses by itself.
const AUDIT_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Between two audits lies so many times what the last one took, however often the connection is made anew.
const PAUSE_FACTOR: u32 = 10;
/// What an operator does about missing messages.
const REMEDY: &str = "restore a backup of the log, or post them again and run: saldo log accept-loss (docs/operations.md, A damaged log)";

/// What is known of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogHealth {
    /// Why nothing may be read from it or written of it.
    refused: Option<String>,
    /// As the last audit found; `None` before the first.
    missing: Option<Arc<Missing>>,
    /// Messages that are gone as the server itself counts, beyond what is accepted.
    deleted: u64,
}

impl LogHealth {
    /// Why the log must not be used.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Whether every message is there; `None` as long as that is not known.
    pub(crate) fn is_whole(&self) -> Option<bool> {
        let is_audited_whole = self.missing.as_ref().map(|missing| missing.is_empty());
        if self.deleted > 0 { Some(false) } else { is_audited_whole }
    }

    /// # Errors
    /// The sentence that says what is wrong with the log.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(why) = &self.refused {
            return Err(why.clone());
        }
        match (&self.missing, self.deleted) {
            (Some(missing), _) if !missing.is_empty() => {
                Err(format!("messages of the log are gone, {missing}; {REMEDY}"))
            }
            (_, deleted) if deleted > 0 => Err(format!("messages of the log are gone, {deleted} in all; {REMEDY}")),
            _ => Ok(()),
        }
    }

    fn missing_messages(&self) -> u64 {
        self.missing.as_ref().map_or(0, |missing| missing.messages()).max(self.deleted)
    }
}

/// What the server says of the log; an audit is due when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    first_sequence: u64,
    deleted: u64,
    accepted_loss: u64,
}

impl From<LogUsage> for Seen {
    fn from(usage: LogUsage) -> Self {
        let LogUsage { first_sequence, deleted, accepted_loss, .. } = usage;
        Self { first_sequence: first_sequence.max(1), deleted, accepted_loss }
    }
}

/// The last audit that succeeded.
#[derive(Clone, Copy, Debug)]
struct Audited {
    seen: Seen,
    connections: u64,
    ended: Instant,
    took: Duration,
}

impl Audited {
    fn is_outdated(&self, seen: Seen, connections: u64, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.ended);
        seen != self.seen || age >= AUDIT_EVERY || (connections != self.connections && age >= self.took * PAUSE_FACTOR)
    }
}

/// An audit that is under way.
struct Audit {
    task: AbortOnDropHandle<Result<Missing, NatsError>>,
    seen: Seen,
    connections: u64,
    started: Instant,
}

/// See the head of the module.
pub(crate) struct LogWatch {
    log: Log,
    health: Sender<LogHealth>,
    missing_messages: Gauge,
    audited: Option<Audited>,
    audit: Option<Audit>,
}

impl LogWatch {
    /// A watch that knows nothing yet, and where it tells what it finds; registers the metric `log_missing_messages`.
    pub(crate) fn new(log: Log, registry: &mut Registry) -> (Self, Receiver<LogHealth>) {
        let missing_messages = Gauge::default();
        let help = "Messages of the log that are gone, though nothing may be deleted";
        registry.register("log_missing_messages", help, missing_messages.clone());
        let (health, receiver) = channel(LogHealth::default());
        (Self { log, health, missing_messages, audited: None, audit: None }, receiver)
    }

    /// Watches until the shutdown begins.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        loop {
            self.look().await;
            tokio::select! {
                ended = ended(self.audit.as_mut()) => self.audit_ended(ended),
                goes_on = shutdown.sleep(EVERY) => if !goes_on {
                    return Ok(());
                },
            }
        }
    }

    /// Looks at the stream, and begins an audit when one is due.
    async fn look(&mut self) {
        let Ok(verified) = timeout(ANSWER_TIMEOUT, self.log.verify()).await else { return };
        match verified {
            Ok(()) => self.change(|health| health.refused = None),
            Err(error) if !error.retry_helps() => {
                return self.change(|health| health.refused = Some(error.to_string()));
            }
            Err(_) => return,
        }
        let connections = self.log.connections();
        let Ok(Ok(usage)) = timeout(ANSWER_TIMEOUT, self.log.usage()).await else { return };
        let seen = Seen::from(usage);
        let holes = seen.deleted.saturating_add(seen.first_sequence - 1);
        self.change(|health| health.deleted = holes.saturating_sub(seen.accepted_loss));
        let is_due = self.audited.is_none_or(|audited| audited.is_outdated(seen, connections, Instant::now()));
        if is_due && self.audit.is_none() {
            let log = self.log.clone();
            let task = AbortOnDropHandle::new(tokio::spawn(async move { log.missing().await }));
            self.audit = Some(Audit { task, seen, connections, started: Instant::now() });
        }
    }

    fn audit_ended(&mut self, outcome: Result<Missing, String>) {
        let Some(Audit { seen, connections, started, .. }) = self.audit.take() else { return };
        match outcome {
            Ok(missing) => {
                let took = started.elapsed();
                debug!(missing = missing.messages(), ?took, "the log was read as a whole");
                self.audited = Some(Audited { seen, connections, ended: Instant::now(), took });
                self.change(|health| health.missing = Some(Arc::new(missing)));
            }
            Err(error) => debug!(error, "the log cannot be read as a whole, trying again"),
        }
    }

    /// Tells what has changed: once in the log, and to whoever watches.
    fn change(&self, change: impl FnOnce(&mut LogHealth)) {
        let before = self.health.borrow().clone();
        let mut now = before.clone();
        change(&mut now);
        if now == before {
            return;
        }
        match (before.check(), now.check()) {
            (before, Err(why)) if before.as_ref().err() != Some(&why) => error!("{why}"),
            (Err(_), Ok(())) => info!("the log is whole"),
            _ => {}
        }
        self.missing_messages.set(i64::try_from(now.missing_messages()).unwrap_or(i64::MAX));
        self.health.send_replace(now);
    }
}

/// Waits for an audit; for ever when none is under way.
async fn ended(audit: Option<&mut Audit>) -> Result<Missing, String> {
    let Some(audit) = audit else { return std::future::pending().await };
    match (&mut audit.task).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use protocol::missing::SequenceCheck;

    use super::*;

    fn missing(seen: &[u64], end: u64) -> Option<Arc<Missing>> {
        let mut check = SequenceCheck::new(protocol::missing::AcceptedLoss::default());
        seen.iter().for_each(|sequence| check.saw(*sequence));
        Some(Arc::new(check.finish(end)))
    }

    #[test]
    fn a_log_is_whole_once_an_audit_has_found_nothing_missing() {
        let mut health = LogHealth::default();
        assert_eq!((health.is_whole(), health.check()), (None, Ok(())));
        health.missing = missing(&[1, 2], 2);
        assert_eq!((health.is_whole(), health.check()), (Some(true), Ok(())));
        health.missing = missing(&[1, 4], 4);
        assert_eq!(health.check(), Err(format!("messages of the log are gone, 2 in all: 2-3; {REMEDY}")));
        assert_eq!((health.is_whole(), health.missing_messages()), (Some(false), 2));
    }

    #[test]
    fn what_the_server_counts_is_enough() {
        let health = LogHealth { deleted: 7, ..LogHealth::default() };
        assert_eq!((health.is_whole(), health.missing_messages()), (Some(false), 7));
        assert_eq!(health.check(), Err(format!("messages of the log are gone, 7 in all; {REMEDY}")));
    }

    #[tokio::test]
    async fn an_audit_is_repeated_after_a_change_a_day_and_with_a_pause_after_a_reconnect() {
        let seen = Seen { first_sequence: 1, deleted: 0, accepted_loss: 0 };
        let (ended, took) = (Instant::now(), Duration::from_secs(20));
        let audited = Audited { seen, connections: 1, ended, took };
        let later = ended + Duration::from_secs(60);
        assert!(!audited.is_outdated(seen, 1, later));
        assert!(audited.is_outdated(Seen { deleted: 1, ..seen }, 1, later));
        assert!(!audited.is_outdated(seen, 2, later), "it would do nothing else where connections are lost often");
        assert!(audited.is_outdated(seen, 2, ended + took * PAUSE_FACTOR));
        assert!(audited.is_outdated(seen, 1, ended + AUDIT_EVERY));
    }
}
