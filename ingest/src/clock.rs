//! What time it is: asked only where ingest makes an id or a date, and given by tests.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use service::Variables;
use tokio::time::Instant;

/// The wall clock of this process, or one that a test moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// Milliseconds since 1970-01-01T00:00:00Z, as a test has set them.
    Manual(Arc<AtomicI64>),
    /// The system's, and as many milliseconds more as this file says, read each time: a test steps the clock of a child
    /// process with it.
    Stepped(Arc<PathBuf>),
}

impl Clock {
    /// The system's clock, unless `SALDO_CLOCK_STEP_FILE` names a file.
    pub fn from_variables(variables: &Variables) -> Self {
        let file = variables.path("SALDO_CLOCK_STEP_FILE");
        file.map_or(Self::System, |file| Self::Stepped(Arc::new(file)))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => system_ms(),
            Self::Manual(now_ms) => now_ms.load(Relaxed),
            Self::Stepped(file) => system_ms().saturating_add(step_ms(file)),
        }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z, exact to a millisecond.
    pub fn now_ns(&self) -> i128 {
        i128::from(self.now_ms()) * 1_000_000
    }
}

/// A clock that never goes back: never behind what it has told, nor behind one that was right at the start and has gone on
/// steadily since. What depends on a day being to come must not be undone by a clock that is set back.
#[derive(Debug)]
pub struct ForwardClock {
    wall: Clock,
    started_ms: i64,
    started: Instant,
    told_ms: AtomicI64,
}

impl ForwardClock {
    /// Starts with what `wall` says.
    pub fn start(wall: Clock) -> Self {
        let started_ms = wall.now_ms();
        Self { wall, started_ms, started: Instant::now(), told_ms: AtomicI64::new(started_ms) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now_ms = self.wall.now_ms().max(self.started_ms.saturating_add(elapsed_ms));
        self.told_ms.fetch_max(now_ms, Relaxed).max(now_ms)
    }
}

/// 0 while the file is absent, or being written; what is no number is 0, too, and an error in the log.
fn step_ms(file: &Path) -> i64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    match text.trim() {
        "" => 0,
        number => number.parse().unwrap_or_else(|error| {
            let file = file.display();
            tracing::error!(recurs = tracing::field::Empty, %error, "{file} holds no number of milliseconds: {number:?}");
            0
        }),
    }
}

/// A clock that stands before 1970 is as good as none: such a day is refused by nobody, but is plainly wrong.
fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
