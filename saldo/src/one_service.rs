//! One service by itself.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use nats::{Client, Log};
use retry::{Backoff, Shutdown, retry};
use service::Variables;
use tokio::net::TcpListener;

use crate::{address, cli::IngestArguments, nats_client, signals::Signals, telemetry};

/// Delays between attempts to reach NATS and the log at the start.
const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 5_000;
/// How long ingest may take to stop: for its slowest client.
const GRACE: Duration = Duration::from_secs(20);

/// Ingest against a NATS that is running, with a log that somebody has made. It waits for both.
///
/// # Errors
/// An option or a variable cannot be used, or the log is not one that this program writes.
pub fn ingest(arguments: &IngestArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    telemetry::init(&variables, "info")?;
    service::http::open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(run_ingest(arguments, &variables))
}

async fn run_ingest(arguments: &IngestArguments, variables: &Variables) -> anyhow::Result<()> {
    let chosen = |given: &Option<String>, name: &str, default: &str| {
        let text = given.clone().or_else(|| variables.text(name).map(str::to_owned));
        address::parse(name, &text.unwrap_or_else(|| default.to_owned()))
    };
    let listen = chosen(&arguments.ingest, "SALDO_INGEST", "127.0.0.1:8080")?;
    let nats = chosen(&arguments.nats, "SALDO_NATS", "127.0.0.1:4222")?;
    let config = ingest::IngestConfig::from_variables(variables)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("ingest cannot listen on {listen}"))?;
    let shutdown = Shutdown::new();
    tokio::spawn(pass_on(Signals::listen()?, shutdown.clone()));

    match reach_log(nats, &shutdown).await {
        Ok((client, log)) => {
            let registry = service::metrics::registry();
            let clock = ingest::Clock::from_variables(variables);
            let dependencies = ingest::Dependencies { client, log, registry, clock };
            ingest::run(config, listener, dependencies, shutdown).await
        }
        Err(_) if shutdown.is_begun() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Connects and opens the log, as often as it takes.
async fn reach_log(nats: SocketAddr, shutdown: &Shutdown) -> anyhow::Result<(Client, Log)> {
    let client_config = nats_client::config(nats, "saldo ingest");
    let mut backoff = Backoff::new(FIRST_DELAY_MS, LONGEST_DELAY_MS);
    let connect = || Client::connect(&client_config);
    let client = retry("connecting to NATS", &mut backoff, shutdown, nats::NatsError::retry_helps, connect).await?;
    backoff.reset();
    let open = || Log::open(&client, nats_client::STREAM_EPOCH);
    let log = retry("opening the log", &mut backoff, shutdown, nats::LogError::retry_helps, open).await?;
    Ok((client, log))
}

/// The first signal begins the stop, the second ends at once.
async fn pass_on(mut signals: Signals, shutdown: Shutdown) {
    signals.stop().await;
    shutdown.begin(GRACE);
    signals.end_at_next().await;
}

/// The aggregator and the query read and write one store. The embedded store belongs to one process, so that they run
/// together in `saldo up`; by themselves they need a store that several processes share.
///
/// # Errors
/// Always, for now: that store is not there yet.
pub fn needs_shared_store(service: &str) -> anyhow::Result<()> {
    bail!(
        "`saldo {service}` alone needs a store that several processes share, and this version has the embedded one only, \
         which belongs to one process: use `saldo up`"
    )
}
