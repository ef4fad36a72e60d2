//! Looks at how full the log is, and says so while there is still time to do something.

use std::{sync::atomic::AtomicU64, time::Duration};

use nats::{Log, LogUsage};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use retry::Shutdown;
use tokio::time::Instant;

use super::disk::readable;

/// From here on it warns.
const WARN_PERCENT: u64 = 80;
/// Room for the largest message: below that the log refuses, though smaller ones may still be taken.
const LEAST_ROOM_BYTES: u64 = 576 * 1024;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(15);
/// Between two warnings that say the same.
const WARNING_PAUSE: Duration = Duration::from_secs(600);

type Bytes = Gauge<u64, AtomicU64>;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    Little,
    None,
}

/// The watch, with what it tells `/metrics`.
pub struct LogWatch {
    log: Log,
    bound: Bound,
    bytes: Bytes,
    max_bytes: Bytes,
    warned: Option<(Instant, Room)>,
}

/// Where the log's bound comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `SALDO_LOG_MAX_BYTES`: more space changes nothing.
    Configured,
    /// The space of its disk.
    Space,
}

impl LogWatch {
    /// Registers the metrics `log_bytes` and `log_max_bytes`.
    pub fn register(log: Log, bound: Bound, registry: &mut Registry) -> Self {
        let (bytes, max_bytes) = (Bytes::default(), Bytes::default());
        registry.register("log_bytes", "Bytes that the log takes", bytes.clone());
        registry.register("log_max_bytes", "Bytes that the log may take, 0 for no bound", max_bytes.clone());
        Self { log, bound, bytes, max_bytes, warned: None }
    }

    /// Looks now and then until the shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            match self.log.usage().await {
                Ok(usage) => self.note(usage),
                Err(error) => tracing::debug!(%error, "cannot tell how full the log is"),
            }
            if !shutdown.sleep(PAUSE).await {
                return;
            }
        }
    }

    fn note(&mut self, usage: LogUsage) {
        let max_bytes = u64::try_from(usage.max_bytes).unwrap_or_default();
        self.bytes.set(usage.bytes);
        self.max_bytes.set(max_bytes);
        let room = room(usage.bytes, max_bytes);
        if room == Room::Enough {
            self.warned = None;
        } else if self.warned.is_none_or(|(at, warned)| warned != room || at.elapsed() >= WARNING_PAUSE) {
            self.warned = Some((Instant::now(), room));
            let sentence = sentence(room, usage.bytes, max_bytes, self.bound, self.log.stream_name());
            tracing::warn!(log.bytes = usage.bytes, log.max_bytes = max_bytes, "{sentence}");
        }
    }
}

fn room(bytes: u64, max_bytes: u64) -> Room {
    if max_bytes == 0 || bytes < max_bytes / 100 * WARN_PERCENT {
        Room::Enough
    } else if bytes.saturating_add(LEAST_ROOM_BYTES) <= max_bytes {
        Room::Little
    } else {
        Room::None
    }
}

/// What is so, and what an operator does about it.
fn sentence(room: Room, bytes: u64, max_bytes: u64, bound: Bound, stream: &str) -> String {
    let state = match room {
        Room::None => "is full and refuses launches",
        Room::Enough | Room::Little => "is nearly full and will refuse launches",
    };
    let remedy = match bound {
        Bound::Configured => "raise SALDO_LOG_MAX_BYTES",
        Bound::Space => "give its file system more space",
    };
    let (shown_bytes, shown_max_bytes) = (readable(bytes), readable(max_bytes));
    format!(
        "the log {state}, {shown_bytes} of {shown_max_bytes}: {remedy} and start again; without a start, where the disk has the \
         space, `nats stream edit {stream} --max-bytes=BYTES --force` raises the bound until the next one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn the_warning_begins_at_four_fifths_and_the_log_is_full_when_a_large_message_has_no_room() {
        assert_eq!(room(79 * MB, 100 * MB), Room::Enough);
        assert_eq!(room(80 * MB, 100 * MB), Room::Little);
        assert_eq!(room(99 * MB, 100 * MB), Room::Little);
        assert_eq!(room(100 * MB - 1_000, 100 * MB), Room::None);
        assert_eq!(room(200 * MB, 100 * MB), Room::None);
        assert_eq!(room(200 * MB, 0), Room::Enough);
    }

    #[test]
    fn the_remedy_is_the_one_that_moves_the_bound() {
        let full = sentence(Room::None, 99 * MB, 100 * MB, Bound::Configured, "LAUNCHES");
        assert!(full.contains("is full and refuses") && full.contains("raise SALDO_LOG_MAX_BYTES"), "{full}");
        let nearly = sentence(Room::Little, 90 * MB, 100 * MB, Bound::Space, "LAUNCHES");
        assert!(nearly.contains("will refuse") && nearly.contains("more space"), "{nearly}");
        assert!(nearly.contains("nats stream edit LAUNCHES --max-bytes"), "{nearly}");
    }
}
