//! The task that reads the file again and again.

use std::time::Duration;

use retry::Shutdown;
use tokio::time::Instant;

use super::Tenants;
use crate::clock::Clock;

/// The wall clock, but never behind one that was right at the start and has gone on steadily since: a clock that is set back
/// must not let a change reach days that have launches.
struct ForwardClock {
    wall: Clock,
    started_ms: i64,
    started: Instant,
}

impl ForwardClock {
    fn start(wall: Clock) -> Self {
        Self { started_ms: wall.now_ms(), started: Instant::now(), wall }
    }

    fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.wall.now_ms().max(self.started_ms.saturating_add(elapsed_ms))
    }
}

/// Confirms the settings every `reload_ms` until the shutdown begins. What is wrong is logged when it changes, not each
/// time.
pub async fn keep_fresh(tenants: Tenants, clock: Clock, shutdown: Shutdown) {
    if tenants.config.file.is_none() {
        return;
    }
    let clock = ForwardClock::start(clock);
    let mut told = String::new();
    while shutdown.sleep(Duration::from_millis(tenants.config.reload_ms)).await {
        let (reader, now_ms) = (tenants.clone(), clock.now_ms());
        let read = tokio::task::spawn_blocking(move || reader.reload(now_ms)).await;
        let complaint = match read {
            Ok(Ok(refused)) if refused.is_empty() => String::new(),
            Ok(Ok(refused)) => format!("settings change too early and are refused for {refused:?}"),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if complaint != told && !complaint.is_empty() {
            tracing::error!("{complaint}; dates are derived from the last good settings until they are stale");
        } else if complaint != told {
            tracing::info!("the tenants file is good again");
        }
        told = complaint;
    }
}
