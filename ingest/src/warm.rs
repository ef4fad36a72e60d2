//! Fills the cache of recent launches from the end of the log, after a start. Requests are served meanwhile; only
//! readiness waits, and not for long.
//!
//! Only what the aggregator can book is remembered: a line that it parks, such as one in another account's lane, must not
//! make a later, good post of the same launch a duplicate. What is read is only a tail: a line that conflicts with one
//! from before it is remembered as the accepted one. That costs a wrong answer, never a wrong booking, for the cache is a
//! courtesy and the aggregator decides.

use std::{sync::Arc, time::Duration};

use ledger::{AccountKey, Fingerprint, FingerprintSecret, Launch, MAX_LINE_BYTES, parse_logged_with_fingerprint};
use nats::{Log, LogUsage, NatsError, ReadEvent, ReaderSettings};
use protocol::{deduplication::Claimed, lane::partition_of, log::LogMessage};
use service::{ConfigError, Variables};
use tokio::{task::JoinSet, time::timeout};

use crate::{key::LaunchKey, recent::Recent};

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
    let lane = Lane { partition, partitions: log.identity().partitions };
    let mut reader = log.reader(partition, from, ReaderSettings::default());
    loop {
        if let ReadEvent::Message(message) = reader.next().await? {
            lane.remember(&message, &recent);
            if message.sequence >= end.sequence {
                return Ok(());
            }
        }
    }
}

/// The lane that is read, and how many there are.
#[derive(Clone, Copy)]
struct Lane {
    partition: u16,
    partitions: u16,
}

impl Lane {
    fn remember(self, message: &LogMessage, recent: &Recent) {
        let lines = message.payload.split(|byte| *byte == b'\n');
        let secret = recent.secret();
        for (launch, content) in lines.filter_map(|line| self.bookable(line, secret)) {
            let key = LaunchKey::new(&launch.tenant, &launch.account, launch.date, &launch.id);
            recent.warm(Claimed { key: key.fingerprint(secret), content }, message.sequence);
        }
    }

    /// The launch of a line, unless the aggregator parks it.
    fn bookable(self, line: &[u8], secret: &FingerprintSecret) -> Option<(Launch, Fingerprint)> {
        let is_short = line.len() <= MAX_LINE_BYTES;
        let (launch, content) = is_short.then(|| parse_logged_with_fingerprint(line, secret).ok()).flatten()?;
        let account = AccountKey { tenant: launch.tenant.clone(), account: launch.account.clone() };
        (partition_of(&account, self.partitions) == self.partition).then_some((launch, content))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ledger::parse_logged;

    use super::*;
    use crate::recent::RecentConfig;

    const PARTITIONS: u16 = 4;

    /// How many launches are remembered of a message with this line, by the lane that it is read from.
    fn remembered(line: &str) -> [usize; 4] {
        let message = LogMessage { sequence: 7, time_ms: 0, payload: Bytes::from(format!("not json\n{line}\n")) };
        [0, 1, 2, 3].map(|partition| {
            let recent = Recent::new(RecentConfig::default());
            Lane { partition, partitions: PARTITIONS }.remember(&message, &recent);
            recent.sizes().0
        })
    }

    #[test]
    fn a_line_is_remembered_in_its_own_lane_only() {
        let line = r#"{"tenant":"acme","id":"a","account":"store-17","date":"2026-11-22","kind":"credit","amount":"1","currency":"BRL"}"#;
        let launch = parse_logged(line.as_bytes()).unwrap();
        let home = partition_of(&AccountKey { tenant: launch.tenant, account: launch.account }, PARTITIONS);
        let mut expected = [0; 4];
        expected[usize::from(home)] = 1;
        assert_eq!(remembered(line), expected);
        let too_long = format!("{line}{}", " ".repeat(MAX_LINE_BYTES));
        assert_eq!(remembered(&too_long), [0; 4], "it is parked whatever it says");
    }

    #[test]
    fn the_wanted_bytes_are_taken_from_the_end() {
        let usage = LogUsage {
            bytes: 10_000,
            max_bytes: -1,
            messages: 100,
            first_sequence: 1,
            last_sequence: 100,
            deleted: 0,
            accepted_loss: 0,
            replicas: 1,
        };
        assert_eq!(first_wanted(&usage, 1_000), 91);
        assert_eq!(first_wanted(&usage, 1 << 40), 1);
        assert_eq!(first_wanted(&usage, 0), 101);
        let empty = LogUsage { bytes: 0, messages: 0, first_sequence: 0, last_sequence: 0, ..usage };
        assert_eq!(first_wanted(&empty, 1_000), 1);
    }
}
