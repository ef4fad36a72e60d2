//! One service by itself, against servers that are running. It waits for them.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use nats::{Changes, Client, ClientConfig, Leases, Log, LogError, NatsError, Parked};
use retry::{Backoff, Shutdown, retry};
use service::Variables;
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

/// Ingest.
///
/// # Errors
/// An option or a variable cannot be used, or the log is not one that this program writes.
pub fn ingest(arguments: &IngestArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    let listen = place(&arguments.ingest, &variables, "SALDO_INGEST", "127.0.0.1:8080")?;
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo ingest")?;
    let config = ingest::IngestConfig::from_variables(&variables)?;
    let clock = ingest::Clock::from_variables(&variables);
    run(&variables, listen, async move |listener, shutdown| {
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
    let config = aggregator::AggregatorConfig::from_variables(&variables)?;
    let store_config = cql_store::config(&variables, "`saldo aggregator` alone")?;
    run(&variables, listen, async move |listener, shutdown| {
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
    let config = query::QueryConfig::from_variables(&variables, nats)?;
    let store_config = cql_store::config(&variables, "`saldo query` alone")?;
    run(&variables, listen, async move |listener, shutdown| {
        let store = cql_store::connect(&store_config, &shutdown).await?;
        query::run(config, listener, store, shutdown).await
    })
}

/// Listens, and runs the service until a signal; that it was stopped while it still waited for a server is no error.
fn run(
    variables: &Variables,
    listen: SocketAddr,
    service: impl AsyncFnOnce(TcpListener, Shutdown) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    telemetry::init(variables, "info")?;
    service::http::open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        let shutdown = Shutdown::new();
        tokio::spawn(pass_on(Signals::listen()?, shutdown.clone()));
        match service(listener, shutdown.clone()).await {
            Err(_) if shutdown.is_begun() => Ok(()),
            outcome => outcome,
        }
    })
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
async fn pass_on(mut signals: Signals, shutdown: Shutdown) {
    signals.stop().await;
    shutdown.begin(GRACE);
    signals.end_at_next().await;
}
