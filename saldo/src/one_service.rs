//! One service by itself, against servers that are running. It waits for them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use nats::{Changes, Client, ClientConfig, Leases, Log, LogError, NatsError, Parked};
use retry::{Backoff, RetryError, Shutdown, retry};
use service::{HttpLimits, Variables, http::open_files::OpenFiles};
use store::StoreError;
use tokio::net::TcpListener;

use crate::{
    address,
    cli::{AggregatorArguments, IngestArguments, QueryArguments},
    cql_store, nats_client,
    signals::Signals,
    telemetry,
};

/// Delays between attempts to reach NATS and the log at the start.
const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 5_000;
/// How long a service may take to stop: for its slowest client, or one commit.
const GRACE: Duration = Duration::from_secs(20);
/// Of a service by itself.
const LISTENERS: u64 = 1;

/// Ingest.
///
/// # Errors
/// An option or a variable cannot be used, or the log is not one that this program writes.
pub fn ingest(arguments: &IngestArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    let listen = place(&arguments.ingest, &variables, "SALDO_INGEST", "127.0.0.1:8080")?;
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo ingest")?;
    let mut config = ingest::IngestConfig::from_variables(&variables)?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.fit(&mut config.http);
    let clock = ingest::Clock::from_variables(&variables);
    run(&variables, listen, open_files, async move |listener, shutdown| {
        let client = reach_nats(&nats, &shutdown).await?;
        let log = open_log(&client, &shutdown).await?;
        let registry = service::metrics::registry();
        let dependencies = ingest::Dependencies { client, log, registry, clock };
        ingest::run(config, listener, dependencies, shutdown).await
    })
}

/// The aggregator, for its share of the lanes.
///
/// # Errors
/// An option or a variable cannot be used, or log or store are not what this program works with.
pub fn aggregator(arguments: &AggregatorArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    let listen = place(&arguments.aggregator, &variables, "SALDO_AGGREGATOR", "127.0.0.1:8082")?;
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo aggregator")?;
    let mut config = aggregator::AggregatorConfig::from_variables(&variables)?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.fit(&mut config.http);
    let store_config = cql_store::config(&variables, "`saldo aggregator` alone")?;
    run(&variables, listen, open_files, async move |listener, shutdown| {
        let client = reach_nats(&nats, &shutdown).await?;
        let log = open_log(&client, &shutdown).await?;
        let parked = open_parked(&client, &shutdown).await?;
        let store = cql_store::connect(&store_config, &shutdown).await?;
        let leases = Some(open_leases(&client, log.identity().epoch, &shutdown).await?);
        let changes = Changes::new(client, log.identity().epoch);
        let dependencies = aggregator::Dependencies { log, changes, parked, store, leases, threads: None };
        aggregator::run(config, listener, dependencies, shutdown).await
    })
}

/// Query.
///
/// # Errors
/// An option or a variable cannot be used, or the store is not what this program reads.
pub fn query(arguments: &QueryArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    let listen = place(&arguments.query, &variables, "SALDO_QUERY", "127.0.0.1:8081")?;
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo query")?;
    let mut config = query::QueryConfig::from_variables(&variables, nats)?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.fit(&mut config.http);
    let store_config = cql_store::config(&variables, "`saldo query` alone")?;
    run(&variables, listen, open_files, async move |listener, shutdown| {
        let store = cql_store::connect(&store_config, &shutdown).await?;
        query::run(config, listener, store, shutdown).await
    })
}

/// Listens, and runs the service until a signal; that it was stopped while it still waited for a server is no error.
fn run(
    variables: &Variables,
    listen: SocketAddr,
    open_files: OpenFiles,
    service: impl AsyncFnOnce(TcpListener, Shutdown) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    telemetry::init(variables, "info")?;
    open_files.warn_if_short(&HttpLimits::from_variables(variables)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        let (shutdown, asked) = (Shutdown::new(), Arc::new(AtomicBool::new(false)));
        tokio::spawn(pass_on(Signals::listen()?, shutdown.clone(), Arc::clone(&asked)));
        let outcome = service(listener, shutdown).await;
        judge(outcome, asked.load(Ordering::Acquire))
    })
}

/// Whether the end of a service is a good one: only if a signal asked for it. A service may begin the shutdown itself.
fn judge(outcome: anyhow::Result<()>, was_asked: bool) -> anyhow::Result<()> {
    match outcome {
        Ok(()) if was_asked => Ok(()),
        Ok(()) => anyhow::bail!("the service ended by itself"),
        Err(error) if was_asked && was_waiting(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether it was stopped while it still waited for a server.
fn was_waiting(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RetryError::<NatsError>::ShutDown(_)))
        || matches!(error.downcast_ref(), Some(RetryError::<LogError>::ShutDown(_)))
        || matches!(error.downcast_ref(), Some(RetryError::<StoreError>::ShutDown(_)))
}

/// The address given, else the variable's, else the default.
fn place(given: &Option<String>, variables: &Variables, name: &str, default: &str) -> anyhow::Result<SocketAddr> {
    let text = given.clone().or_else(|| variables.text(name).map(str::to_owned));
    address::parse(name, &text.unwrap_or_else(|| default.to_owned()))
}

/// Connects, as often as it takes.
async fn reach_nats(config: &ClientConfig, shutdown: &Shutdown) -> anyhow::Result<Client> {
    let connect = || Client::connect(config);
    Ok(retry("connecting to NATS", &mut backoff(), shutdown, NatsError::retry_helps, connect).await?)
}

/// Opens the log that somebody has made, as often as it takes.
async fn open_log(client: &Client, shutdown: &Shutdown) -> anyhow::Result<Log> {
    let open = || Log::open(client, nats_client::STREAM_EPOCH);
    Ok(retry("opening the log", &mut backoff(), shutdown, LogError::retry_helps, open).await?)
}

async fn open_parked(client: &Client, shutdown: &Shutdown) -> anyhow::Result<Parked> {
    let open = || Parked::open(client);
    Ok(retry("opening the parked stream", &mut backoff(), shutdown, LogError::retry_helps, open).await?)
}

async fn open_leases(client: &Client, epoch: u8, shutdown: &Shutdown) -> anyhow::Result<Leases> {
    let open = || Leases::open(client, epoch);
    Ok(retry("opening the bucket of leases", &mut backoff(), shutdown, LogError::retry_helps, open).await?)
}

fn backoff() -> Backoff {
    Backoff::new(FIRST_DELAY_MS, LONGEST_DELAY_MS)
}

/// The first signal begins the stop, the second ends at once.
async fn pass_on(mut signals: Signals, shutdown: Shutdown, asked: Arc<AtomicBool>) {
    signals.stop().await;
    asked.store(true, Ordering::Release);
    shutdown.begin(GRACE);
    signals.end_at_next().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_good_one_only_if_a_signal_asked_for_it() {
        let waiting = || anyhow::Error::from(RetryError::<LogError>::ShutDown(None));
        let broken = || anyhow::anyhow!("this store cannot be served");
        assert!(judge(Ok(()), true).is_ok());
        assert!(judge(Err(waiting()), true).is_ok());
        assert!(judge(Ok(()), false).is_err());
        for was_asked in [true, false] {
            assert_eq!(judge(Err(broken()), was_asked).unwrap_err().to_string(), "this store cannot be served");
        }
        assert!(judge(Err(waiting()), false).is_err());
    }
}
