//! What time it is: asked only where ingest makes an id or a date, and given by tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The wall clock of this process, or one that a test moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// Milliseconds since 1970-01-01T00:00:00Z, as a test has set them.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => system_ms(),
            Self::Manual(now_ms) => now_ms.load(Relaxed),
        }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z, exact to a millisecond.
    pub fn now_ns(&self) -> i128 {
        i128::from(self.now_ms()) * 1_000_000
    }
}

/// A clock that stands before 1970 is as good as none: such a day is refused by nobody, but is plainly wrong.
fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
