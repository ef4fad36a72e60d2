//! Whether patient threads find any time: one that asks for next to nothing, and is heard.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

/// How often it is to be heard.
const SINGS_EVERY: Duration = Duration::from_millis(20);

/// A patient thread that says again and again that it runs; ends with the value.
#[derive(Debug)]
pub(super) struct Canary(Arc<Song>);

#[derive(Debug)]
struct Song {
    begun: Instant,
    heard_after_ms: AtomicU64,
}

impl Canary {
    /// Takes one of the runtime's blocking threads: its workers may be at a long computation, which is no want of time.
    pub(super) fn start(patient: &Handle) -> Self {
        let song = Arc::new(Song { begun: Instant::now(), heard_after_ms: AtomicU64::new(0) });
        let singing = Arc::downgrade(&song);
        drop(patient.spawn_blocking(move || sing(&singing)));
        Self(song)
    }

    /// For how long it has not been heard.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        let heard = Duration::from_millis(self.0.heard_after_ms.load(Relaxed));
        now.saturating_duration_since(self.0.begun).saturating_sub(heard)
    }
}

fn sing(song: &Weak<Song>) {
    while let Some(song) = song.upgrade() {
        let after_ms = u64::try_from(song.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        song.heard_after_ms.store(after_ms, Relaxed);
        drop(song);
        std::thread::sleep(SINGS_EVERY);
    }
}
