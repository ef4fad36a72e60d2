//! The three services: started together, watched, and stopped in the order in which a launch passes them.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use nats::{Changes, Client, ClientConfig, Log, LogError, LogSettings, Parked, ParkedSettings, Renaming};
use protocol::lane::partitions_of_a_machine;
use retry::Shutdown;
use service::{Variables, http::open_files::OpenFiles};
use store::{EmbeddedConfig, EmbeddedFolder, EmbeddedStore, Store};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};

use super::{
    background::Background,
    disk::readable,
    listeners::Listeners,
    log_watch::{Bound, LogWatch},
    ready::{self, Place},
    settings::UpSettings,
    steps::Steps,
    stuck_log::StuckLog,
};
use crate::{bulk_threads::BulkThreads, log, nats_client, nats_server::Restart, signals::Signals};

/// How long each service may take to stop: ingest waits for its slowest client, the aggregator for one commit.
const INGEST_GRACE: Duration = Duration::from_secs(20);
const AGGREGATOR_GRACE: Duration = Duration::from_secs(15);
const QUERY_GRACE: Duration = Duration::from_secs(10);

/// One small message at a time, unless this says otherwise: nats-server has the only copy, on this machine, and all launches
/// that come while it syncs one message share the next sync.
const ALL_MESSAGES_IN_FLIGHT: &str = "SALDO_INGEST_ALL_MESSAGES_IN_FLIGHT";

/// What the services are started with.
pub struct Plan<'a> {
    /// What was chosen.
    pub settings: &'a UpSettings,
    /// The services' own variables.
    pub variables: &'a Variables,
    /// Bounds the connections of each service.
    pub open_files: OpenFiles,
    /// Where the store lies.
    pub store: &'a Path,
    /// Nothing was stored there when this start began.
    pub store_is_empty: bool,
    /// Where nats-server keeps the log.
    pub log: &'a Path,
    /// Bytes that the log may take.
    pub log_max_bytes: u64,
    /// Restarts nats-server.
    pub nats_restart: Restart,
}

/// Runs the services until a signal asks them to stop, or one ends by itself.
///
/// # Errors
/// What could not be started, or what ended.
pub async fn run_until_stopped(
    plan: Plan<'_>,
    store: EmbeddedFolder,
    listeners: Listeners,
    steps: &Steps,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let places = listeners.places()?;
    let started = tokio::select! {
        started = Services::start(&plan, store, listeners, steps) => Some(started?),
        () = signals.stop() => None,
    };
    let Some(mut services) = started else {
        tokio::spawn(signals.end_at_next());
        return Ok(());
    };
    let ended = tokio::select! {
        () = signals.stop() => Ok(()),
        ended = services.first_end() => ended,
        () = announce(places, steps) => Ok(()),
    };
    steps.done("saldo", "stopping; a second signal ends it at once");
    tokio::spawn(signals.end_at_next());
    let stopped = services.stop(steps).await;
    ended.and(stopped)
}

/// Tells when all is up, and never returns: the services go on.
async fn announce(places: [Place; 3], steps: &Steps) {
    ready::wait(&places, steps).await;
    let [_, query, ingest] = places;
    steps.up(ingest.address, query.address);
    std::future::pending().await
}

/// All three, running.
struct Services {
    ingest: Running,
    aggregator: Running,
    query: Running,
    /// Where the aggregator runs; ended last.
    _background: Background,
    /// Where ingest reads bulks.
    _bulk_threads: BulkThreads,
}

impl Services {
    /// The aggregator first: what it finds on the log is being folded while the others start.
    async fn start(
        plan: &Plan<'_>,
        store: EmbeddedFolder,
        listeners: Listeners,
        steps: &Steps,
    ) -> anyhow::Result<Self> {
        let (background, bulk_threads) = (Background::start()?, BulkThreads::start()?);
        let ground = Ground::prepare(plan, store, listeners.nats, &background, steps).await?;
        Ok(Self {
            aggregator: start_aggregator(plan, &ground, listeners.aggregator, &background, steps)?,
            query: start_query(plan, &ground, listeners.query, steps)?,
            ingest: start_ingest(plan, ground, listeners.ingest, bulk_threads.handle(), steps)?,
            _background: background,
            _bulk_threads: bulk_threads,
        })
    }

    /// Waits for the first that ends although nobody asked it to.
    async fn first_end(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            ended = self.ingest.ended() => ended,
            ended = self.aggregator.ended() => ended,
            ended = self.query.ended() => ended,
        }
    }

    /// Ingest acknowledges what it has taken, the aggregator finishes its commit, query answers last. Every one is
    /// stopped, also when one before it failed; the first failure is told.
    async fn stop(self, steps: &Steps) -> anyhow::Result<()> {
        let ingest = self.ingest.stop(INGEST_GRACE, steps).await;
        let aggregator = self.aggregator.stop(AGGREGATOR_GRACE, steps).await;
        let query = self.query.stop(QUERY_GRACE, steps).await;
        ingest.and(aggregator).and(query)
    }
}

/// A service in a task of its own.
struct Running {
    name: &'static str,
    shutdown: Shutdown,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    fn spawn<Run>(name: &'static str, address: SocketAddr, steps: &Steps, start: impl FnOnce(Shutdown) -> Run) -> Self
    where
        Run: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self::spawn_on(&Handle::current(), name, address, steps, start)
    }

    fn spawn_on<Run>(
        runtime: &Handle,
        name: &'static str,
        address: SocketAddr,
        steps: &Steps,
        start: impl FnOnce(Shutdown) -> Run,
    ) -> Self
    where
        Run: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let shutdown = Shutdown::new();
        let task = runtime.spawn(start(shutdown.clone()));
        steps.done(name, format_args!("http://{address}"));
        Self { name, shutdown, task: Some(task) }
    }

    /// Waits for the end, which is an error: it was not asked to. Cancel safe.
    async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(task) = self.task.as_mut() else { return std::future::pending().await };
        let outcome = task.await;
        self.task = None;
        outcome
            .with_context(|| format!("{} broke down", self.name))?
            .with_context(|| format!("{} ended", self.name))?;
        anyhow::bail!("{} ended by itself", self.name)
    }

    async fn stop(self, grace: Duration, steps: &Steps) -> anyhow::Result<()> {
        self.shutdown.begin(grace);
        if let Some(task) = self.task {
            task.await.with_context(|| format!("{} broke down", self.name))??;
        }
        steps.done(self.name, "stopped");
        Ok(())
    }
}

/// What the services stand on.
struct Ground {
    client_config: ClientConfig,
    client: Client,
    log: Log,
    parked: Parked,
    store: Arc<dyn Store>,
}

impl Ground {
    async fn prepare(
        plan: &Plan<'_>,
        store: EmbeddedFolder,
        address: SocketAddr,
        background: &Background,
        steps: &Steps,
    ) -> anyhow::Result<Self> {
        let client_config = nats_client::config(&address.to_string(), "saldo up");
        let client = Client::connect(&client_config).await?;
        let log = named_for_store(plan, &client, make_log(plan, &client).await?, steps).await?;
        let lanes = log.identity().partitions;
        steps.done("log", format_args!("{lanes} lanes, at most {}", readable(plan.log_max_bytes)));
        let parked_max_bytes = log::parked_max_bytes(log_max_bytes(plan));
        let parked = Parked::ensure(&client, &ParkedSettings { replicas: 1, max_bytes: parked_max_bytes }).await?;
        let store = open_store(store, plan.store, background).await?;
        steps.done("store", plan.store.display());
        Ok(Self { client_config, client, log, parked, store })
    }
}

fn start_aggregator(
    plan: &Plan<'_>,
    ground: &Ground,
    listener: TcpListener,
    background: &Background,
    steps: &Steps,
) -> anyhow::Result<Running> {
    let mut config = aggregator::AggregatorConfig::from_variables(plan.variables)?;
    plan.open_files.fit(&mut config.http);
    let dependencies = aggregator::Dependencies {
        log: ground.log.clone(),
        changes: Changes::new(ground.client.clone(), ground.log.identity().epoch),
        parked: ground.parked.clone(),
        store: Arc::clone(&ground.store),
        leases: None,
        threads: Some(background.threads()),
    };
    let address = listener.local_addr()?;
    let start = |shutdown| aggregator::run(config, listener, dependencies, shutdown);
    Ok(Running::spawn_on(&background.handle(), "aggregator", address, steps, start))
}

fn start_query(plan: &Plan<'_>, ground: &Ground, listener: TcpListener, steps: &Steps) -> anyhow::Result<Running> {
    let mut config = query::QueryConfig::from_variables(plan.variables, ground.client_config.clone())?;
    plan.open_files.fit(&mut config.http);
    let store = Arc::clone(&ground.store);
    let address = listener.local_addr()?;
    Ok(Running::spawn("query", address, steps, |shutdown| query::run(config, listener, store, shutdown)))
}

fn start_ingest(
    plan: &Plan<'_>,
    ground: Ground,
    listener: TcpListener,
    bulks: Handle,
    steps: &Steps,
) -> anyhow::Result<Running> {
    let mut config = ingest::IngestConfig::from_variables(plan.variables)?;
    plan.open_files.fit(&mut config.http);
    if plan.variables.text(ALL_MESSAGES_IN_FLIGHT).is_none() {
        config.publisher.all_messages_in_flight = 1;
    }
    let mut registry = service::metrics::registry();
    let bound = if plan.settings.log_max_bytes.is_some() { Bound::Configured } else { Bound::Space };
    let watch = LogWatch::register(ground.log.clone(), bound, &mut registry);
    let stuck =
        StuckLog::register(ground.log.clone(), plan.log.to_path_buf(), plan.nats_restart.clone(), &mut registry);
    let Ground { client, log, .. } = ground;
    let clock = ingest::Clock::from_variables(plan.variables);
    let dependencies = ingest::Dependencies { client, log, registry, clock, bulks };
    let address = listener.local_addr()?;
    Ok(Running::spawn("ingest", address, steps, |shutdown| {
        tokio::spawn(watch.run(shutdown.clone()));
        tokio::spawn(stuck.run(shutdown.clone()));
        ingest::run(config, listener, dependencies, shutdown)
    }))
}

/// Makes the log, or checks the one that is there, which knows its own lanes.
async fn make_log(plan: &Plan<'_>, client: &Client) -> anyhow::Result<Log> {
    let existing = existing_partitions(client).await?;
    if existing.is_none() && !plan.store_is_empty {
        tracing::warn!(
            "there is no log any more beside a store with balances, and an empty one is made: stop Saldo and restore a \
             backup of the log; removing the store gives up what only the log had"
        );
    }
    let partitions = plan
        .settings
        .partitions
        .or(existing)
        .unwrap_or_else(|| partitions_of_a_machine(std::thread::available_parallelism().map_or(1, usize::from)));
    let max_bytes = log_max_bytes(plan);
    Ok(Log::ensure(client, &LogSettings { partitions, replicas: 1, max_bytes, epoch: nats_client::STREAM_EPOCH })
        .await?)
}

/// A log with messages over which nothing is stored was restored, perhaps to an older state, or has lost its store: nobody
/// knows what was given out of it before, so it gets another incarnation. Nothing has been given out yet of this one, for no
/// service has started and the store is made later.
async fn named_for_store(plan: &Plan<'_>, client: &Client, log: Log, steps: &Steps) -> anyhow::Result<Log> {
    if !plan.store_is_empty || log.usage().await?.messages == 0 {
        return Ok(log);
    }
    Log::rename(client, nats_client::STREAM_EPOCH, Renaming::Restored).await?;
    steps.done("log", "the store is empty and is filled from it; positions given out before mean nothing");
    Ok(Log::open(client, nats_client::STREAM_EPOCH).await?)
}

fn log_max_bytes(plan: &Plan<'_>) -> i64 {
    i64::try_from(plan.log_max_bytes).unwrap_or(i64::MAX)
}

async fn existing_partitions(client: &Client) -> Result<Option<u16>, LogError> {
    match Log::open(client, nats_client::STREAM_EPOCH).await {
        Ok(log) => Ok(Some(log.identity().partitions)),
        Err(LogError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opening reads what was not sorted yet, so that it may block for a while. The threads that sort and merge files begin where it
/// is opened, and give way as the aggregator does: what they do is of no hurry to anybody who waits.
async fn open_store(folder: EmbeddedFolder, path: &Path, background: &Background) -> anyhow::Result<Arc<dyn Store>> {
    let config = EmbeddedConfig::new(path);
    let opened = background.handle().spawn_blocking(move || EmbeddedStore::open_claimed(folder, config)).await;
    Ok(Arc::new(opened.context("opening the store broke down")??))
}
