//! Restarts a nats-server that runs, answers, and stores nothing.
//!
//! It is so after its disk was full, or failed: the first write that fails is remembered for ever, whatever becomes of the
//! disk, and publishers are not even answered. A restart heals it, but only once the disk takes writes again.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use nats::Log;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use retry::Shutdown;
use tokio::time::{Instant, timeout};

use crate::nats_server::Restart;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long nothing may be stored of what is sent: a slow disk is not a broken one.
const UNSTORED_FOR: Duration = Duration::from_secs(5);
/// What a look may take before it counts as "does not answer": a server that does not answer is not restarted, for it may
/// be paused, or starting.
const LOOK: Duration = Duration::from_secs(2);
/// A restart that did not help is not repeated before this.
const RESTART_PAUSE: Duration = Duration::from_secs(30);
/// Looks in a row that must find the log stuck: a server that was paused answers before it has stored what waits for it.
const LOOKS_IN_A_ROW: u32 = 3;
/// What must be writable before a restart can help: more than the longest message.
const PROBE_BYTES: usize = 4 * 1024 * 1024;
const PROBE_FILE: &str = "PROBE";

/// The watch.
pub struct StuckLog {
    log: Log,
    folder: PathBuf,
    restart: Restart,
    restarts: Counter,
    stuck_looks: u32,
    restarted: Option<Instant>,
    told: bool,
}

impl StuckLog {
    /// Registers the metric `nats_server_restarts`; `folder` is where the server keeps its data.
    pub fn register(log: Log, folder: PathBuf, restart: Restart, registry: &mut Registry) -> Self {
        let restarts = Counter::default();
        let help = "Restarts of a nats-server that answered and stored nothing";
        registry.register("nats_server_restarts", help, restarts.clone());
        Self { log, folder, restart, restarts, stuck_looks: 0, restarted: None, told: false }
    }

    /// Looks once a second until the shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        while shutdown.sleep(PAUSE).await {
            self.stuck_looks = if self.is_stuck().await { self.stuck_looks.saturating_add(1) } else { 0 };
            let may_restart = self.restarted.is_none_or(|restarted| restarted.elapsed() >= RESTART_PAUSE);
            if self.stuck_looks >= LOOKS_IN_A_ROW && may_restart {
                self.heal().await;
            }
        }
    }

    /// Whether what is sent is not stored, although the server answers.
    async fn is_stuck(&mut self) -> bool {
        let is_unstored = self.log.unstored().is_some_and(|unstored| unstored.first_ago >= UNSTORED_FOR);
        if !is_unstored {
            self.told = false;
            return false;
        }
        matches!(timeout(LOOK, self.log.verify()).await, Ok(Ok(())))
    }

    async fn heal(&mut self) {
        let folder = self.folder.clone();
        let probed =
            tokio::task::spawn_blocking(move || probe(&folder)).await.unwrap_or_else(|fault| Err(fault.into()));
        match probed {
            Err(problem) if self.told => tracing::debug!(%problem, "the log's disk still takes no writes"),
            Err(problem) => {
                self.told = true;
                tracing::error!(
                    %problem,
                    "the log stores nothing: its disk takes no writes; nats-server is restarted when it does"
                );
            }
            Ok(()) => {
                tracing::error!("nats-server answers but stores nothing, and its disk takes writes: it is restarted");
                (self.stuck_looks, self.told, self.restarted) = (0, false, Some(Instant::now()));
                self.restarts.inc();
                self.restart.request();
            }
        }
    }
}

/// Whether the disk takes writes: some bytes to it and away again.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        // Not zeros: file systems that compress would take no space for them.
        let bytes: Vec<u8> = (0..PROBE_BYTES).map(|index| (index % 251).to_le_bytes()[0]).collect();
        file.write_all(&bytes)?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind_and_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(probe(&folder.path().join("absent")).is_err());
    }
}
