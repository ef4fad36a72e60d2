//! `saldo up`: the whole pipeline in one process, in the order in which it starts and, backwards, stops.

mod background;
mod disk;
mod folder;
mod listeners;
mod log_folder;
mod log_watch;
mod ready;
mod services;
mod settings;
mod steps;
mod stuck_log;

use std::time::Duration;

use anyhow::Context;
use service::{HttpLimits, Variables, http::open_files::OpenFiles};
use store::EmbeddedFolder;

use crate::{
    cli::UpArguments,
    nats_server::{self, NatsServer, ServerSettings},
    signals::Signals,
    telemetry,
};
use folder::DataFolder;
use listeners::Listeners;
use log_folder::LogFolder;
use services::Plan;
use settings::UpSettings;
use steps::Steps;

/// How long work on blocking threads may go on after everything has stopped.
const LAST_GRACE: Duration = Duration::from_secs(5);
/// One of each service.
const LISTENERS: u64 = 3;

/// How long nats-server may be starting before a person is told, and between two lines about it.
const WAITING_IS_TOLD_AFTER: Duration = Duration::from_secs(5);

/// Runs the pipeline until it is told to stop.
///
/// # Errors
/// One sentence: what could not be started, or what ended by itself.
pub fn up(arguments: &UpArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    // A change of how days are derived is rare, and wanted in the log.
    telemetry::init(&variables, "warn,ingest::tenants=info")?;
    let open_files = OpenFiles::raise(LISTENERS);
    open_files.warn_if_short(&HttpLimits::from_variables(&variables)?);
    let settings = UpSettings::resolve(arguments, &variables)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let outcome = runtime.block_on(run(settings, variables, open_files));
    // What still blocks by now is a disk that does not answer; nothing acknowledged waits for it.
    runtime.shutdown_timeout(LAST_GRACE);
    outcome
}

async fn run(settings: UpSettings, variables: Variables, open_files: OpenFiles) -> anyhow::Result<()> {
    let steps = Steps::begin();
    let mut signals = Signals::listen()?;
    let binary = nats_server::find(settings.nats_server.as_deref())?;
    let folder = DataFolder::open(&settings.data)?;
    steps.done("data", folder.path().display());
    // Both before a nats-server is ended or started: it may be the one of another saldo.
    let log = LogFolder::claim(&folder.log())?;
    let store = EmbeddedFolder::claim(&folder.store())?;
    nats_server::wait_for_leftover(folder.path()).await?;
    let listeners = Listeners::bind(&settings).await?;
    let log_max_bytes = disk::log_max_bytes(&settings, log.path())?;

    let data = folder.path().to_path_buf();
    let server = ServerSettings { program: binary.path, address: listeners.nats, data };
    let server = tokio::select! {
        server = NatsServer::start(server) => server?,
        () = signals.stop() => return Ok(()),
        () = tell_of_waiting(&steps) => return Ok(()),
    };
    steps.done("nats-server", format_args!("{} on {}", binary.version, listeners.nats));
    let plan = Plan {
        settings: &settings,
        variables: &variables,
        open_files,
        store: &folder.store(),
        store_is_empty: store.is_empty(),
        log: &folder.log(),
        log_max_bytes,
        nats_restart: server.restart(),
    };
    let outcome = services::run_until_stopped(plan, store, listeners, &steps, signals).await;
    server.stop().await;
    steps.done("nats-server", "stopped");
    outcome
}

/// Says now and then that nothing is wrong yet, and never returns: after a crash nats-server reads all of its log first.
async fn tell_of_waiting(steps: &Steps) {
    let mut seconds = 0;
    loop {
        tokio::time::sleep(WAITING_IS_TOLD_AFTER).await;
        seconds += WAITING_IS_TOLD_AFTER.as_secs();
        steps.done("nats-server", format_args!("is starting and reads the log, for {seconds} s so far"));
    }
}
