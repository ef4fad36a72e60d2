//! The first signal asks for an orderly stop, the second ends at once.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit status of a process that was told to end at once: 128 and the number of SIGINT, as shells say it.
const ENDED_AT_ONCE: i32 = 130;

/// Ctrl-C, SIGTERM, and the terminal's end.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From here on no signal ends the process by itself.
    pub fn listen() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hang_up: of(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal. Cancel safe.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Ends the process at the next signal. nats-server goes with it: every acknowledged message is on disk.
    pub async fn end_at_next(mut self) {
        self.stop().await;
        eprintln!("ended at once");
        std::process::exit(ENDED_AT_ONCE);
    }
}
