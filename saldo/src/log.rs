//! `saldo log apply`: a job of its own, before services that run alone are started.

use std::time::Duration;

use anyhow::Context;
use nats::{Client, ClientConfig, LeaseSettings, Leases, Log, LogError, LogSettings, LogUsage, Parked, ParkedSettings};
use protocol::lane::{DEFAULT_PARTITIONS, MAX_PARTITIONS};
use service::Variables;
use tracing::{info, warn};

use crate::{
    cli::LogApplyArguments,
    nats_client::{self, STREAM_EPOCH},
    telemetry,
};

/// The smallest bound of the log that makes sense: some messages of the longest kind.
pub const SMALLEST_LOG_BYTES: u64 = 1024 * 1024;
/// The parked stream may take one in this many of the log's bytes, within these bounds.
const PARKED_DIVISOR: u64 = 20;
const SMALLEST_PARKED_BYTES: u64 = 4 * 1024 * 1024;
const LARGEST_PARKED_BYTES: u64 = 1024 * 1024 * 1024;
/// Most copies that JetStream keeps.
const MAX_REPLICAS: usize = 5;

/// How often NATS is tried: it may be starting beside this job, and the servers of a cluster join one after another.
const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_secs(2);

/// Makes the log, the parked stream and the bucket of leases, or checks those that are there and adapts what may change.
///
/// # Errors
/// NATS cannot be reached for two minutes, does not let this be done, or has a log that is not what was asked for.
pub fn apply(arguments: &LogApplyArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    telemetry::init(&variables, "info")?;
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo log apply")?;
    let wanted = Wanted::resolve(arguments, &variables)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let mut attempts_left = ATTEMPTS;
        loop {
            attempts_left -= 1;
            match apply_once(&nats, &wanted).await {
                Err(error) if attempts_left > 0 && error.retry_helps() => {
                    warn!(%error, "the log is not applied yet, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return Ok(outcome?),
            }
        }
    })
}

/// What was asked for; what was not stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    partitions: Option<u16>,
    replicas: Option<usize>,
    max_bytes: Option<i64>,
}

impl Wanted {
    fn resolve(arguments: &LogApplyArguments, variables: &Variables) -> anyhow::Result<Self> {
        let max_bytes = max_bytes(variables)?.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let replicas = variables.number("SALDO_LOG_REPLICAS", 0, 1..=MAX_REPLICAS)?;
        Ok(Self {
            partitions: partitions(arguments.partitions, variables)?,
            replicas: Some(replicas).filter(|replicas| *replicas > 0),
            max_bytes,
        })
    }

    /// How the log is made, or is to be from now on.
    fn settings(&self, found: Option<(u16, LogUsage)>) -> LogSettings {
        let found_partitions = found.map(|(partitions, _)| partitions);
        let found = found.map(|(_, usage)| usage);
        LogSettings {
            partitions: self.partitions.or(found_partitions).unwrap_or(DEFAULT_PARTITIONS),
            replicas: self.replicas.or(found.map(|usage| usage.replicas)).unwrap_or(1),
            max_bytes: self.max_bytes.or(found.map(|usage| usage.max_bytes)).unwrap_or(-1),
            epoch: STREAM_EPOCH,
        }
    }
}

async fn apply_once(nats: &ClientConfig, wanted: &Wanted) -> Result<(), LogError> {
    let client = Client::connect(nats).await?;
    let settings = wanted.settings(existing(&client).await?);
    let log = Log::ensure(&client, &settings).await?;
    let replicas = settings.replicas;
    Parked::ensure(&client, &ParkedSettings { replicas, max_bytes: parked_max_bytes(settings.max_bytes) }).await?;
    Leases::ensure(&client, &LeaseSettings { replicas }, log.identity().epoch).await?;
    if settings.max_bytes < 0 {
        warn!("the log has no bound of its own: keep the servers' max_file_store below what their disks have");
    }
    let (partitions, max_bytes) = (settings.partitions, settings.max_bytes);
    info!(stream = log.stream_name(), partitions, replicas, max_bytes, "the log is applied");
    Ok(())
}

/// The log that is there, with its lanes.
async fn existing(client: &Client) -> Result<Option<(u16, LogUsage)>, LogError> {
    match Log::open(client, STREAM_EPOCH).await {
        Ok(log) => Ok(Some((log.identity().partitions, log.usage().await?))),
        Err(LogError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lanes as given, else as `SALDO_PARTITIONS` says.
///
/// # Errors
/// It is no number of lanes that a log can have.
pub fn partitions(given: Option<u16>, variables: &Variables) -> anyhow::Result<Option<u16>> {
    const NAME: &str = "SALDO_PARTITIONS";
    if let Some(given) = given {
        anyhow::ensure!(
            (1..=MAX_PARTITIONS).contains(&given),
            "--partitions is {given}: expected a whole number from 1 to {MAX_PARTITIONS}"
        );
        return Ok(Some(given));
    }
    Ok(variables.text(NAME).map(|_| variables.number(NAME, 1, 1..=MAX_PARTITIONS)).transpose()?)
}

/// Bytes that the log may take, as `SALDO_LOG_MAX_BYTES` says.
///
/// # Errors
/// It is no number of bytes, or too small.
pub fn max_bytes(variables: &Variables) -> anyhow::Result<Option<u64>> {
    let bytes = variables.number("SALDO_LOG_MAX_BYTES", 0, SMALLEST_LOG_BYTES..=i64::MAX.unsigned_abs())?;
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

/// Bytes that the parked stream may take beside a log of `log_max_bytes`, where -1 is no bound.
pub fn parked_max_bytes(log_max_bytes: i64) -> i64 {
    let bytes = u64::try_from(log_max_bytes).unwrap_or(u64::MAX) / PARKED_DIVISOR;
    i64::try_from(bytes.clamp(SMALLEST_PARKED_BYTES, LARGEST_PARKED_BYTES)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> anyhow::Result<Wanted> {
        Wanted::resolve(&LogApplyArguments::default(), &Variables::of_pairs(pairs.iter().copied()))
    }

    #[test]
    fn what_is_not_asked_for_stays_as_it_is() {
        let usage = LogUsage {
            bytes: 0,
            max_bytes: 77,
            messages: 0,
            first_sequence: 1,
            last_sequence: 0,
            deleted: 0,
            accepted_loss: 0,
            replicas: 3,
        };
        let settings = Wanted::default().settings(Some((6, usage)));
        assert_eq!((settings.partitions, settings.replicas, settings.max_bytes), (6, 3, 77));
        let settings = Wanted::default().settings(None);
        assert_eq!((settings.partitions, settings.replicas, settings.max_bytes), (4, 1, -1));
        let wanted = resolve(&[("SALDO_LOG_REPLICAS", "5"), ("SALDO_LOG_MAX_BYTES", "2000000")]).unwrap();
        let settings = wanted.settings(Some((6, usage)));
        assert_eq!((settings.partitions, settings.replicas, settings.max_bytes), (6, 5, 2_000_000));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (name, value) in [("SALDO_LOG_REPLICAS", "6"), ("SALDO_LOG_MAX_BYTES", "7"), ("SALDO_PARTITIONS", "many")] {
            assert!(resolve(&[(name, value)]).unwrap_err().to_string().starts_with(name), "{name}");
        }
    }

    #[test]
    fn the_parked_stream_always_has_a_bound() {
        assert_eq!(parked_max_bytes(-1), 1024 * 1024 * 1024);
        assert_eq!(parked_max_bytes(200_000_000), 10_000_000);
        assert_eq!(parked_max_bytes(0), 4 * 1024 * 1024);
    }
}
