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
use nats::{Changes, LogError, NatsError};
use retry::{RetryError, Shutdown};
use service::{HttpLimits, ProblemKind, Variables, http::open_files::OpenFiles, problem::kinds};
use start::Start;
use store::StoreError;
use tokio::net::TcpListener;

use crate::{
    address,
    bulk_threads::BulkThreads,
    cli::{AggregatorArguments, IngestArguments, QueryArguments},
    cql_store, nats_client,
    signals::Signals,
    telemetry,
};

mod start;

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
    config.trusted.admit(listen)?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.fit(&mut config.http);
    let clock = ingest::Clock::from_variables(&variables);
    let alone = Alone { listen, open_files, limits: config.http.clone(), until_ready: kinds::LOG_UNAVAILABLE };
    let wait = async |start: &Start| {
        let client = start.reach_nats(&nats).await?;
        let log = start.open_log(&client).await?;
        anyhow::Ok((client, log))
    };
    alone.run(&variables, wait, async move |listener, shutdown, (client, log)| {
        let registry = service::metrics::registry();
        let bulk_threads = BulkThreads::start()?;
        let bulks = bulk_threads.handle();
        let dependencies = ingest::Dependencies { client, log, registry, clock, bulks };
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
    let alone = Alone { listen, open_files, limits: config.http.clone(), until_ready: kinds::LOG_UNAVAILABLE };
    let wait = async |start: &Start| {
        let client = start.reach_nats(&nats).await?;
        let log = start.open_log(&client).await?;
        let parked = start.open_parked(&client).await?;
        let store = start.connect_store(&store_config).await?;
        let leases = Some(start.open_leases(&client, log.identity().epoch).await?);
        let changes = Changes::new(client, log.identity().epoch);
        anyhow::Ok(aggregator::Dependencies { log, changes, parked, store, leases, threads: None })
    };
    alone.run(&variables, wait, async move |listener, shutdown, dependencies| {
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
    config.trusted.admit(listen)?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.fit(&mut config.http);
    let store_config = cql_store::config(&variables, "`saldo query` alone")?;
    let alone = Alone { listen, open_files, limits: config.http.clone(), until_ready: kinds::STORE_UNAVAILABLE };
    let wait = async |start: &Start| start.connect_store(&store_config).await;
    alone.run(&variables, wait, async move |listener, shutdown, store| {
        query::run(config, listener, store, shutdown).await
    })
}

/// How one service by itself is run.
struct Alone {
    listen: SocketAddr,
    open_files: OpenFiles,
    limits: HttpLimits,
    /// What requests are answered while it waits.
    until_ready: ProblemKind,
}

impl Alone {
    /// Listens, waits for what the service works with, and runs it until a signal; that it was stopped while it still waited for a
    /// server is no error. While it waits it is live, and says by its readiness for what.
    fn run<D>(
        self,
        variables: &Variables,
        wait: impl AsyncFnOnce(&Start) -> anyhow::Result<D>,
        service: impl AsyncFnOnce(TcpListener, Shutdown, D) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        telemetry::init(variables, "info")?;
        self.open_files.warn_if_short(&HttpLimits::from_variables(variables)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
        runtime.block_on(async {
            let listen = self.listen;
            let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
            tracing::info!(address = %listener.local_addr()?, "listening");
            let (shutdown, asked) = (Shutdown::new(), Arc::new(AtomicBool::new(false)));
            tokio::spawn(pass_on(Signals::listen()?, shutdown.clone(), Arc::clone(&asked)));
            let start = Start::new(shutdown.clone());
            let waiting =
                service::http::serve_until(&listener, start.routes(self.until_ready), self.limits, wait(&start));
            let outcome = match waiting.await? {
                Ok(dependencies) => service(listener, shutdown, dependencies).await,
                Err(error) => Err(error),
            };
            judge(outcome, asked.load(Ordering::Acquire))
        })
    }
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
