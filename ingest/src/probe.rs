//! Looks at the log once a second, and whenever an answer from memory needs it: is it there, is it ours, has it room. Answers
//! readiness, and stops writing into a stream that somebody has made anew.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use nats::{Log, LogError, LogUsage};
use retry::Shutdown;
use tokio::{
    sync::watch::Sender,
    time::{Instant, sleep_until, timeout},
};

use crate::{looks::Looks, metrics::Metrics, recent::Recent};

/// Time between two looks that nobody asks for.
const EVERY: Duration = Duration::from_secs(1);
/// What a look may take before it counts as "does not answer".
const PATIENCE: Duration = Duration::from_secs(2);
/// A log that stores nothing for so long, although messages are sent to it, takes no messages.
const STORES_WITHIN: Duration = Duration::from_secs(2);
/// So long after the last attempt it counts as well again: somebody must be let through to find out.
const CLAIMED_FOR: Duration = Duration::from_secs(30);
/// Room for the largest message with its subject and headers: below that the log counts as full.
const LEAST_ROOM_BYTES: u64 = 576 * 1024;

/// What was last seen. Cheap to clone.
#[derive(Clone)]
pub struct LogState {
    seen: Arc<Mutex<Result<(), String>>>,
    ours: Arc<AtomicBool>,
    warm: Arc<AtomicBool>,
    /// Number of the connection on which the log was last looked at.
    looked_on: Arc<Sender<u64>>,
    looks: Arc<Looks>,
}

impl Default for LogState {
    fn default() -> Self {
        let seen = Err("the log has not been looked at yet".to_owned());
        Self {
            seen: Arc::new(Mutex::new(seen)),
            ours: Arc::new(AtomicBool::new(true)),
            warm: Arc::default(),
            looked_on: Arc::default(),
            looks: Arc::default(),
        }
    }
}

impl LogState {
    /// Whether the stream is the one that this service was started with, as far as is known.
    pub fn is_ours(&self) -> bool {
        self.ours.load(Relaxed)
    }

    /// Waits until the log was looked at on the connection of this number, for a while: behind a new one may be an older state of
    /// the log, of which what is remembered says nothing.
    pub async fn looked_on(&self, connection: u64) -> bool {
        if *self.looked_on.borrow() == connection {
            return true;
        }
        let mut looked_on = self.looked_on.subscribe();
        matches!(timeout(PATIENCE, looked_on.wait_for(|looked_on| *looked_on == connection)).await, Ok(Ok(_)))
    }

    /// Looks at the log, together with all others who ask for it. Whether what is remembered of it is true: it is the one that
    /// this service was started with, has all that it was known to have, and answers. Cancel safe.
    pub async fn confirms(&self) -> bool {
        self.looks.look().await
    }

    /// The cache of recent launches has been filled from the log, or that was given up.
    pub fn warmed(&self) {
        self.warm.store(true, Relaxed);
    }

    /// Whether the log takes messages, as last seen.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if self.warm.load(Relaxed) { Ok(()) } else { Err("reading the end of the log".to_owned()) }
    }

    fn stopping(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Err("stopping".to_owned());
    }

    fn saw(&self, now: Result<(), String>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*seen, &now) {
            (Ok(()), Err(why)) => tracing::warn!("not ready: {why}"),
            (Err(_), Ok(())) => tracing::info!("the log takes messages"),
            _ => {}
        }
        *seen = now;
    }
}

/// What is looked at.
pub struct Probe {
    /// The log.
    pub log: Log,
    /// Emptied when the log is another.
    pub recent: Arc<Recent>,
    /// Its sizes are shown.
    pub metrics: Arc<Metrics>,
    /// Where the result goes.
    pub state: LogState,
}

impl Probe {
    /// Looks until the shutdown begins, which is the end of readiness; from then on only when somebody asks, until it is aborted.
    pub async fn run(self, shutdown: Shutdown) {
        let mut due = Instant::now();
        while !shutdown.is_begun() {
            let connection = self.log.connections();
            let seen = self.look(connection).await;
            self.state.saw(seen);
            if due <= Instant::now() {
                self.tidy();
                due = Instant::now() + EVERY;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.log.reconnected(connection) => {}
                () = self.state.looks.wanted() => {}
                () = shutdown.begun() => {}
            }
        }
        self.state.stopping();
        loop {
            self.state.looks.wanted().await;
            let _seen = self.look(self.log.connections()).await;
        }
    }

    /// Forgets what is too old, and shows how much is left.
    fn tidy(&self) {
        self.recent.sweep(Instant::now());
        let (recent, pending) = self.recent.sizes();
        self.metrics.recent_entries.set(i64::try_from(recent).unwrap_or(i64::MAX));
        self.metrics.pending_entries.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    async fn look(&self, connection: u64) -> Result<(), String> {
        let number = self.state.looks.begin();
        let usage = self.judged_look(connection).await;
        self.state.looks.end(number, usage.is_ok());
        has_room(usage?)?;
        stores(&self.log)
    }

    async fn judged_look(&self, connection: u64) -> Result<LogUsage, String> {
        let silent = |_| "JetStream does not answer".to_owned();
        let verified = timeout(PATIENCE, self.log.verify_all()).await.map_err(silent)?;
        let is_clear = verified.as_ref().map_or_else(|error| !error.retry_helps(), |_| true);
        let judged = self.judge(verified);
        if is_clear {
            self.state.looked_on.send_replace(connection);
        }
        judged
    }

    /// Only a clear "this is another stream, or has other settings" stops writing; what may be a hiccup does not.
    fn judge(&self, verified: Result<LogUsage, LogError>) -> Result<LogUsage, String> {
        match &verified {
            Ok(_) => self.state.ours.store(true, Relaxed),
            Err(error) if !error.retry_helps() && self.state.ours.swap(false, Relaxed) => {
                tracing::error!(%error, "nothing is written into the log as long as it is not what this service relies on");
                self.recent.forget();
            }
            Err(_) => {}
        }
        verified.map_err(|error| error.to_string())
    }
}

/// A server whose disk failed it answers every question, and stores nothing.
fn stores(log: &Log) -> Result<(), String> {
    match log.unstored() {
        Some(unstored) if unstored.first_ago > STORES_WITHIN && unstored.last_ago < CLAIMED_FOR => {
            Err("the log answers, but stores nothing of what is sent".to_owned())
        }
        _ => Ok(()),
    }
}

fn has_room(usage: LogUsage) -> Result<(), String> {
    match u64::try_from(usage.max_bytes) {
        Ok(max_bytes) if usage.bytes.saturating_add(LEAST_ROOM_BYTES) > max_bytes => {
            Err(format!("the log is full: {} of {max_bytes} bytes", usage.bytes))
        }
        _ => Ok(()),
    }
}
