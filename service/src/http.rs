//! The HTTP server: bounded connections, timeouts for clients that stand still, and an orderly stop.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Release},
    },
    time::Duration,
};

use retry::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod activity;
pub mod body;
mod connection;
pub mod edge;
mod hosts;
mod json;
mod limits;
mod listener;
mod open;
pub mod open_files;
mod pace;
mod routes;
mod short;
mod stream;
mod watched;

use hosts::Hosts;

use activity::Activity;
pub use edge::{REQUEST_ID_HEADER, finish, waiting};
pub use hosts::{AllowedHost, NoHost};
pub use json::json;
pub use limits::HttpLimits;
use open::{OpenConnections, Place};
pub use routes::Routes;
pub use short::{Answered, RouterOnly, ShortWay, Taken, Whole};

/// How long to wait after the system refused to accept, for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most connections taken out of the system's backlog after the stop was asked for.
const MAX_LAST_CONNECTIONS: usize = 4_096;
/// How long handshakes that had begun when the stop was asked for may take: a client whose own side is done sends its request.
const LAST_HANDSHAKES: Duration = Duration::from_millis(50);
/// What is left, after connections were cut at the deadline, for their tasks to end.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Serves `routes` until `shutdown` begins, then drains: no new connections, requests in flight are finished and answered with
/// `Connection: close`, connections that stand still are closed, and what is left at the deadline (the limits' own, or the shutdown's if that is
/// earlier) is cut. Returns when no
/// connection is left.
///
/// # Errors
/// The listener's address cannot be read. Errors of connections are theirs alone; refused accepts are tried again.
pub async fn serve<S: ShortWay>(
    listener: TcpListener,
    routes: Routes<S>,
    shutdown: Shutdown,
    limits: HttpLimits,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let hosts = Hosts::of(address, &limits.allowed_hosts);
    let server = Server::new(routes.for_hosts(hosts), limits);
    tracing::info!(http.address = %address, "serving");
    tokio::select! {
        () = server.accept_for_ever(&listener) => {}
        () = shutdown.begun() => {}
    }
    server.drain(listener, address, &shutdown).await;
    Ok(())
}

/// Serves `routes` until `until` completes, and gives back what that gave. The listener goes on: who connects meanwhile and is not
/// served yet waits for whoever serves next. Requests in flight are finished, for a moment.
///
/// # Errors
/// The listener's address cannot be read.
pub async fn serve_until<T>(
    listener: &TcpListener,
    routes: Routes<RouterOnly>,
    limits: HttpLimits,
    until: impl Future<Output = T>,
) -> io::Result<T> {
    let hosts = Hosts::of(listener.local_addr()?, &limits.allowed_hosts);
    let server = Server::new(routes.for_hosts(hosts), limits);
    let outcome = tokio::select! {
        outcome = until => outcome,
        () = server.accept_for_ever(listener) => std::future::pending().await,
    };
    server.stop.is_draining.store(true, Release);
    server.stop.draining.cancel();
    server.connections.close();
    let _ended = timeout_at(Instant::now() + CUT_GRACE, server.connections.wait()).await;
    server.stop.cut.cancel();
    Ok(outcome)
}

struct Server<S> {
    routes: Arc<Routes<S>>,
    limits: Arc<HttpLimits>,
    open: Arc<OpenConnections>,
    /// Accepted, and without a place yet.
    placeless: Mutex<Option<TcpStream>>,
    connections: TaskTracker,
    stop: Stop,
}

/// How connections learn that the server stops.
#[derive(Clone, Default)]
struct Stop {
    /// They end when they are quiet.
    draining: CancellationToken,
    /// The same for a glance with every answer; set before the token is.
    is_draining: Arc<AtomicBool>,
    /// They end at once.
    cut: CancellationToken,
}

impl<S: ShortWay> Server<S> {
    fn new(routes: Routes<S>, limits: HttpLimits) -> Self {
        Self {
            routes: Arc::new(routes),
            open: OpenConnections::new(limits.max_connections),
            placeless: Mutex::new(None),
            limits: Arc::new(limits),
            connections: TaskTracker::new(),
            stop: Stop::default(),
        }
    }

    /// One connection at a time waits for its place: the others wait in the system's backlog.
    async fn accept_for_ever(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.lock_placeless().replace(stream);
                    let activity = Arc::new(Activity::new());
                    let place = self.open.place(&activity).await;
                    if let Some(stream) = self.take_placeless() {
                        self.take(stream, activity, place);
                    }
                }
                Err(error) => {
                    tracing::warn!(recurs = tracing::field::Empty, %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take_placeless(&self) -> Option<TcpStream> {
        self.lock_placeless().take()
    }

    fn lock_placeless(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.placeless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, stream: TcpStream, activity: Arc<Activity>, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the client has gone already");
            return;
        }
        let served =
            connection::serve(stream, activity, Arc::clone(&self.routes), Arc::clone(&self.limits), self.stop.clone());
        self.connections.spawn(async move {
            served.await;
            drop(place);
        });
    }

    async fn drain(&self, listener: TcpListener, address: SocketAddr, shutdown: &Shutdown) {
        let own = Instant::now() + Duration::from_millis(self.limits.drain_ms);
        let deadline = shutdown.deadline().map_or(own, |given| given.min(own));
        if let Err(error) = listener::turn_away(&listener) {
            tracing::debug!(%error, "clients are not turned away before the listener is closed");
        }
        self.take_last(listener, deadline).await;
        self.connections.close();
        if timeout_at(deadline, self.connections.wait()).await.is_err() {
            tracing::warn!(http.address = %address, connections = self.connections.len(), "cut at the drain deadline");
            self.stop.cut.cancel();
            let _ended = timeout_at(Instant::now() + CUT_GRACE, self.connections.wait()).await;
        }
        tracing::info!(http.address = %address, "stopped");
    }

    /// Clients whose connection the system had made may have sent a request already: they are served, too.
    async fn take_last(&self, listener: TcpListener, deadline: Instant) {
        let listener = listener.into_std();
        let take_made = || listener.iter().for_each(|listener| self.take_made(listener));
        take_made();
        self.stop.is_draining.store(true, Release);
        self.stop.draining.cancel();
        sleep_until(deadline.min(Instant::now() + LAST_HANDSHAKES)).await;
        take_made();
    }

    fn take_made(&self, listener: &std::net::TcpListener) {
        for _ in 0..MAX_LAST_CONNECTIONS {
            let activity = Arc::new(Activity::new());
            let Some(place) = self.open.try_place(&activity) else { return };
            let made = self.take_placeless().map_or_else(|| listener::next_made(listener), |stream| Ok(Some(stream)));
            match made {
                Ok(Some(stream)) => self.take(stream, activity, place),
                Ok(None) => return,
                Err(error) => tracing::debug!(%error, "the client has gone already"),
            }
        }
    }
}
