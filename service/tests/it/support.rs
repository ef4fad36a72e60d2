//! A small service to test with, and a raw client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::get};
use retry::Shutdown;
use service::{
    HttpLimits, HttpMetrics, Problem, Readiness,
    http::{self, ShortWay},
    problem::kinds,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use crate::short::{ShortOnes, by_router};

/// How long a test waits for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running service: `/hello`, `/panic`, `/problem`, `/gate` (answers once the gate is opened), `/large` (an answer of
/// 64 MiB), `POST /hello`, and `/short/{what}`, which has a short way, too.
pub struct TestService {
    pub address: SocketAddr,
    pub stop: Shutdown,
    pub gate: Arc<Notify>,
    pub entered: Arc<Notify>,
    /// A request at the gate has been given up.
    pub left: Arc<Notify>,
    pub server: JoinHandle<std::io::Result<()>>,
}

#[derive(Clone, Default)]
pub struct Gates {
    pub gate: Arc<Notify>,
    pub entered: Arc<Notify>,
    pub left: Arc<Notify>,
}

impl TestService {
    pub async fn start(limits: HttpLimits) -> Self {
        Self::start_on("127.0.0.1:0", limits).await
    }

    pub async fn start_on(address: &str, limits: HttpLimits) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gates = Gates::default();
        let (stop, Gates { gate, entered, left }) = (Shutdown::new(), gates.clone());
        let server = tokio::spawn(http::serve(listener, routes(gates), stop.clone(), limits));
        Self { address, stop, gate, entered, left, server }
    }

    pub async fn connect(&self) -> RawClient {
        RawClient { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The server has ended by itself.
    pub async fn ended(self) {
        timeout(DEADLINE, self.server).await.expect("the server stops").unwrap().unwrap();
    }
}

fn routes(gates: Gates) -> http::Routes<ShortOnes> {
    let router = Router::new()
        .route("/hello", get(async || "hello").post(async |body: String| body))
        .route("/panic", get(panics))
        .route("/problem", get(async || Problem::new(kinds::LOG_FULL, "no room").retry_after(7)))
        .route("/large", get(async || Body::from(vec![b'x'; 64 << 20])))
        .route("/items/{item}", get(async || "an item"))
        .route("/gate", get(at_gate).post(async || (StatusCode::CONFLICT, "not read")))
        .route(ShortOnes::ROUTE, get(by_router).post(by_router))
        .with_state(gates.clone());
    let mut registry = service::metrics::registry();
    let metrics = HttpMetrics::register(&mut registry);
    let readiness = Readiness::new(|| Err("still warming".to_owned()));
    http::finish(router, metrics, readiness, Arc::new(registry)).with_short_way(ShortOnes(gates))
}

async fn panics() -> &'static str {
    panic!("as the test asked")
}

async fn at_gate(State(gates): State<Gates>) -> &'static str {
    wait_at(&gates).await
}

pub async fn wait_at(gates: &Gates) -> &'static str {
    let leaving = Leaving(&gates.left);
    gates.entered.notify_one();
    gates.gate.notified().await;
    std::mem::forget(leaving);
    "opened"
}

/// Tells when it is dropped.
struct Leaving<'g>(&'g Notify);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Bytes in, bytes out.
pub struct RawClient {
    pub stream: TcpStream,
}

impl RawClient {
    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `end` has come.
    pub async fn read_to(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(end) {
            let count = timeout(DEADLINE, self.stream.read_buf(&mut read)).await.expect("an answer").unwrap();
            assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&read));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until the server closes.
    pub async fn read_to_close(&mut self) -> String {
        let mut read = Vec::new();
        let end = timeout(DEADLINE, self.stream.read_to_end(&mut read)).await.expect("the server closes");
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
        String::from_utf8_lossy(&read).into_owned()
    }
}

pub const GET_HELLO: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
