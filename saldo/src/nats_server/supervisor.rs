//! Keeps nats-server running: a thread of its own, because the kernel binds a child to the *thread* that started it. The
//! thread lives from the first start to the last stop, whatever the runtimes around it do.

use std::{
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;
use retry::Backoff;
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{ServerSettings, child::ServerProcess, last_words::last_words};

/// The first pause before a restart, and the longest: short enough that callers hardly notice one crash, long enough that
/// a server that cannot start does not fill the log, and is back soon after it can.
const FIRST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 5_000;
/// A server that ran this long was well: the next pause is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// A nats-server that is restarted when it dies. Dropping this without [`NatsServer::stop`] stops it, too.
pub struct NatsServer {
    stop: CancellationToken,
    restart: Restart,
    thread: Option<JoinHandle<()>>,
}

/// Asks for a restart of a nats-server that runs and does not work. Cheap to clone.
#[derive(Clone, Default)]
pub struct Restart(Arc<Notify>);

impl Restart {
    /// Asks; requests made before the first is carried out are one.
    pub fn request(&self) {
        self.0.notify_one();
    }
}

impl NatsServer {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It does not come up; the error has its last words.
    pub async fn start(settings: ServerSettings) -> anyhow::Result<Self> {
        let (ready, first_start) = oneshot::channel();
        let (stop, restart) = (CancellationToken::new(), Restart::default());
        let supervisor = Supervisor { settings, stop: stop.clone(), restart: restart.clone() };
        let thread = std::thread::Builder::new().name("nats-server".to_owned()).spawn(move || supervisor.run(ready));
        let server = Self { stop, restart, thread: Some(thread.context("cannot start a thread")?) };
        first_start.await.context("the thread that watches nats-server ended")??;
        Ok(server)
    }

    /// With what a restart is asked for.
    pub fn restart(&self) -> Restart {
        self.restart.clone()
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _joined = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

struct Supervisor {
    settings: ServerSettings,
    stop: CancellationToken,
    restart: Restart,
}

impl Supervisor {
    fn run(self, ready: oneshot::Sender<anyhow::Result<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.supervise(ready)),
            Err(error) => drop(ready.send(Err(error.into()))),
        }
    }

    async fn supervise(self, ready: oneshot::Sender<anyhow::Result<()>>) {
        // A stop does not wait for a start, which may take minutes; a child that is dropped is killed.
        let started = tokio::select! {
            started = ServerProcess::start(&self.settings) => started,
            () = self.stop.cancelled() => return,
        };
        match started {
            Ok(process) => {
                let _gave_up = ready.send(Ok(()));
                self.keep_running(process).await;
            }
            Err(problem) => drop(ready.send(Err(problem))),
        }
    }

    async fn keep_running(&self, mut process: ServerProcess) {
        let mut backoff = Backoff::new(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        loop {
            let since = Instant::now();
            tokio::select! {
                status = process.ended() => self.tell(&status),
                () = self.restart.0.notified() => process.stop().await,
                () = self.stop.cancelled() => return process.stop().await,
            }
            if since.elapsed() >= WELL_AFTER {
                backoff.reset();
            }
            match self.restart(&mut backoff).await {
                Some(restarted) => process = restarted,
                None => return,
            }
        }
    }

    fn tell(&self, status: &io::Result<std::process::ExitStatus>) {
        let status = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        let words = last_words(&self.settings);
        tracing::error!(nats.status = status, nats.last_words = words, "nats-server ended and is started again");
    }

    /// Starts it again until it comes up, or gives `None` when it shall stop.
    async fn restart(&self, backoff: &mut Backoff) -> Option<ServerProcess> {
        loop {
            tokio::select! {
                () = sleep(backoff.next_delay()) => {}
                () = self.stop.cancelled() => return None,
            }
            let started = tokio::select! {
                started = ServerProcess::start(&self.settings) => started,
                () = self.stop.cancelled() => return None,
            };
            match started {
                Ok(process) => {
                    tracing::info!("nats-server runs again");
                    return Some(process);
                }
                Err(problem) => tracing::error!(problem = format!("{problem:#}"), "nats-server does not come up"),
            }
        }
    }
}
