//! Fills the cache of recent launches from the end of the log, after a start. Requests are served meanwhile; only
//! readiness waits, and not for long.

use std::{sync::Arc, time::Duration};

use ledger::parse_logged;
use nats::{Log, LogUsage, NatsError, ReadEvent, ReaderSettings};
use protocol::log::LogMessage;
use service::{ConfigError, Variables};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    key::{Claimed, key_digest},
    recent::Recent,
};

/// How much is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmConfig {
    /// `SALDO_INGEST_WARM_BYTES`: bytes of the log's end. Default 64 MiB, some 300,000 launches.
    pub bytes: u64,
    /// `SALDO_INGEST_WARM_MS`: milliseconds after which it is given up. Default 2,000.
    pub patience_ms: u64,
}

impl Default for WarmConfig {
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, patience_ms: 2_000 }
    }
}

impl WarmConfig {
    pub(crate) fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            bytes: variables.number("SALDO_INGEST_WARM_BYTES", default.bytes, 0..=1 << 40)?,
            patience_ms: variables.number("SALDO_INGEST_WARM_MS", default.patience_ms, 1..=600_000)?,
        })
    }
}

/// Reads the end of every lane into the cache, within the bounds. What fails is only logged: the cache is a courtesy.
pub async fn warm(log: Log, recent: Arc<Recent>, config: WarmConfig) {
    let mut lanes = JoinSet::new();
    let read = async {
        let usage = log.usage().await?;
        for partition in 0..log.identity().partitions {
            let from = first_wanted(&usage, config.bytes);
            lanes.spawn(warm_lane(log.clone(), partition, from, Arc::clone(&recent)));
        }
        while let Some(lane) = lanes.join_next().await {
            lane.unwrap_or(Ok(()))?;
        }
        Ok::<(), NatsError>(())
    };
    match timeout(Duration::from_millis(config.patience_ms), read).await {
        Ok(Ok(())) => tracing::debug!(entries = recent.sizes().0, "read the end of the log"),
        Ok(Err(error)) => tracing::warn!(%error, "cannot read the end of the log"),
        Err(_) => tracing::info!(entries = recent.sizes().0, "read a part of the log's end, as far as time allowed"),
    }
}

/// The sequence from which on the log has about so many bytes, by the average message.
fn first_wanted(usage: &LogUsage, bytes: u64) -> u64 {
    let average = (usage.bytes / usage.messages.max(1)).max(1);
    let wanted = bytes / average;
    usage.last_sequence.saturating_sub(wanted).saturating_add(1).max(usage.first_sequence).max(1)
}

async fn warm_lane(log: Log, partition: u16, from: u64, recent: Arc<Recent>) -> Result<(), NatsError> {
    let Some(end) = log.lane_end(partition).await? else { return Ok(()) };
    if end.sequence < from {
        return Ok(());
    }
    let mut reader = log.reader(partition, from, ReaderSettings::default());
    loop {
        if let ReadEvent::Message(message) = reader.next().await? {
            remember(&message, &recent);
            if message.sequence >= end.sequence {
                return Ok(());
            }
        }
    }
}

fn remember(message: &LogMessage, recent: &Recent) {
    for line in message.payload.split(|byte| *byte == b'\n') {
        if let Ok(launch) = parse_logged(line) {
            let key = key_digest(&launch.tenant, &launch.account, launch.date, &launch.id);
            recent.warm(Claimed { key, content: launch.content_digest }, message.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_bytes_are_taken_from_the_end() {
        let usage = LogUsage { bytes: 10_000, max_bytes: -1, messages: 100, first_sequence: 1, last_sequence: 100 };
        assert_eq!(first_wanted(&usage, 1_000), 91);
        assert_eq!(first_wanted(&usage, 1 << 40), 1);
        assert_eq!(first_wanted(&usage, 0), 101);
        let empty = LogUsage { bytes: 0, messages: 0, first_sequence: 0, last_sequence: 0, ..usage };
        assert_eq!(first_wanted(&empty, 1_000), 1);
    }
}
