//! Looks at how full the log is, and says so while there is still time to do something.

use std::{sync::atomic::AtomicU64, time::Duration};

use nats::{Log, LogUsage};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use retry::Shutdown;
use tokio::time::Instant;

use super::disk::readable;

/// From here on it warns.
const WARN_PERCENT: u64 = 80;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(15);
/// Between two warnings.
const WARNING_PAUSE: Duration = Duration::from_secs(600);

type Bytes = Gauge<u64, AtomicU64>;

/// The watch, with what it tells `/metrics`.
pub struct LogWatch {
    log: Log,
    bytes: Bytes,
    max_bytes: Bytes,
    warned: Option<Instant>,
}

impl LogWatch {
    /// Registers the metrics `log_bytes` and `log_max_bytes`.
    pub fn register(log: Log, registry: &mut Registry) -> Self {
        let (bytes, max_bytes) = (Bytes::default(), Bytes::default());
        registry.register("log_bytes", "Bytes that the log takes", bytes.clone());
        registry.register("log_max_bytes", "Bytes that the log may take, 0 for no bound", max_bytes.clone());
        Self { log, bytes, max_bytes, warned: None }
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
        let due = self.warned.is_none_or(|warned| warned.elapsed() >= WARNING_PAUSE);
        if is_nearly_full(usage.bytes, max_bytes) && due {
            self.warned = Some(Instant::now());
            tracing::warn!(
                log.bytes = usage.bytes,
                log.max_bytes = max_bytes,
                "the log is nearly full, {} of {}: it will refuse launches; give its file system more space and start again",
                readable(usage.bytes),
                readable(max_bytes),
            );
        }
    }
}

fn is_nearly_full(bytes: u64, max_bytes: u64) -> bool {
    max_bytes > 0 && bytes >= max_bytes / 100 * WARN_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_begins_at_four_fifths() {
        assert!(!is_nearly_full(799, 1_000));
        assert!(is_nearly_full(800, 1_000));
        assert!(is_nearly_full(2_000, 1_000));
        assert!(!is_nearly_full(2_000, 0));
    }
}
