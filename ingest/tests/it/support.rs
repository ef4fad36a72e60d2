//! A running ingest with its own NATS server.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use ingest::{Clock, Dependencies, IngestConfig};
use ledger::Launch;
use nats::{Client, ClientConfig, Log, LogSettings, ReadEvent, ReaderSettings};
use retry::Shutdown;
use serde_json::{Value, json};
use testkit::{NatsServer, NatsServerOptions, wait_until_async};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

/// How long a test waits for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// 2026-11-23T02:30:00Z.
pub const NOW_MS: i64 = 1_795_401_000_000;
/// How many lanes the tests have.
pub const PARTITIONS: u16 = 4;

/// What a test starts with.
pub struct Setup {
    pub config: IngestConfig,
    pub server: NatsServerOptions,
    pub max_bytes: i64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: IngestConfig::default(), server: NatsServer::options(), max_bytes: -1 }
    }
}

/// A running ingest.
pub struct TestIngest {
    pub server: NatsServer,
    pub log: Log,
    pub client: Client,
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    pub http: reqwest::Client,
    config: IngestConfig,
    service: JoinHandle<anyhow::Result<()>>,
}

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: Value,
}

impl Answer {
    /// The slug of a problem.
    pub fn slug(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().trim_start_matches("urn:saldo:problem:")
    }
}

impl TestIngest {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, media_type: &str) -> reqwest::RequestBuilder {
        let request = self.http.post(self.url("/v1/launches")).header("saldo-tenant", "acme");
        request.header("content-type", media_type)
    }

    pub async fn post(&self, launch: &Value) -> Answer {
        answer(self.request("application/json").body(launch.to_string())).await
    }

    pub async fn post_text(&self, text: impl Into<reqwest::Body>) -> Answer {
        answer(self.request("application/json").body(text)).await
    }

    pub async fn post_lines(&self, text: impl Into<reqwest::Body>) -> Answer {
        answer(self.request("application/x-ndjson").body(text)).await
    }

    pub async fn until_ready(&self) {
        let ready = async || {
            let answer = self.http.get(self.url("/health/ready")).send().await.ok()?;
            (answer.status() == 200).then_some(())
        };
        wait_until_async("readiness", DEADLINE, ready).await.unwrap();
    }

    /// Waits until the service says that it is not ready, with a sentence that contains `why`.
    pub async fn until_not_ready(&self, why: &str) {
        let not_ready = async || {
            let answer = self.http.get(self.url("/health/ready")).send().await.ok()?;
            (answer.status() == 503 && answer.text().await.ok()?.contains(why)).then_some(())
        };
        wait_until_async(why, DEADLINE, not_ready).await.unwrap();
    }

    /// Runs the `nats` command line against the server; true when it succeeded.
    pub async fn nats(&self, arguments: &[&str]) -> bool {
        let mut command = std::process::Command::new("timeout");
        command.arg("20").arg(testkit::nats_cli().unwrap()).args(["--server", &self.server.url()]).args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap().status.success()).await.unwrap()
    }

    /// What `/metrics` says of a metric without labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.http.get(self.url("/metrics")).send().await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Everything on the log, lane by lane, with the sequence of its message.
    pub async fn logged(&self) -> Vec<(u64, Launch)> {
        let mut launches = Vec::new();
        for partition in 0..PARTITIONS {
            let Some(end) = self.log.lane_end(partition).await.unwrap() else { continue };
            let mut reader = self.log.reader(partition, 1, ReaderSettings::default());
            let mut reached = 0;
            while reached < end.sequence {
                let event = timeout(DEADLINE, reader.next()).await.expect("the log is read").unwrap();
                let ReadEvent::Message(message) = event else { continue };
                reached = message.sequence;
                for line in message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    launches.push((reached, ledger::parse_logged(line).unwrap()));
                }
            }
        }
        launches
    }

    /// Stops the service and starts another one on the same log.
    pub async fn restart(&mut self) {
        self.shutdown.begin(DEADLINE);
        timeout(DEADLINE, &mut self.service).await.expect("the service stops").unwrap().unwrap();
        self.shutdown = Shutdown::new();
        (self.address, self.service) = serve(&self.config, &self.client, &self.log, &self.shutdown).await;
        self.until_ready().await;
    }

    /// Starts another one on the same log, which refuses to; its sentence.
    pub async fn start_beside(&self, config: IngestConfig, address: &str) -> String {
        let listener = TcpListener::bind(address).await.unwrap();
        let registry = service::metrics::registry();
        let (client, log) = (self.client.clone(), self.log.clone());
        let dependencies =
            Dependencies { client, log, registry, clock: Clock::System, bulks: tokio::runtime::Handle::current() };
        let run = ingest::run(config, listener, dependencies, Shutdown::new());
        format!("{:#}", timeout(DEADLINE, run).await.expect("a refusal").unwrap_err())
    }
}

impl Setup {
    pub async fn start(self) -> TestIngest {
        let server = self.server.start().unwrap();
        let client_config = ClientConfig {
            url: server.url(),
            name: "ingest test".to_owned(),
            user: None,
            password: None,
            credentials_file: None,
            connect_timeout_ms: 5_000,
        };
        let client = Client::connect(&client_config).await.unwrap();
        let settings = LogSettings { partitions: PARTITIONS, replicas: 1, max_bytes: self.max_bytes, epoch: 1 };
        let log = Log::ensure(&client, &settings).await.unwrap();
        let shutdown = Shutdown::new();
        let (address, service) = serve(&self.config, &client, &log, &shutdown).await;
        let http = reqwest::Client::new();
        let ingest = TestIngest { server, log, client, address, shutdown, http, config: self.config, service };
        ingest.until_ready().await;
        ingest
    }
}

async fn serve(
    config: &IngestConfig,
    client: &Client,
    log: &Log,
    shutdown: &Shutdown,
) -> (SocketAddr, JoinHandle<anyhow::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dependencies = Dependencies {
        client: client.clone(),
        log: log.clone(),
        registry: service::metrics::registry(),
        clock: Clock::Manual(Arc::new(AtomicI64::new(NOW_MS))),
        bulks: tokio::runtime::Handle::current(),
    };
    (address, tokio::spawn(ingest::run(config.clone(), listener, dependencies, shutdown.clone())))
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = timeout(DEADLINE, request.send()).await.expect("an answer").unwrap();
    let status = answer.status().as_u16();
    assert!(answer.headers().contains_key("x-request-id"));
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    let text = answer.text().await.unwrap();
    Answer { status, retry_after, body: serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text:?}")) }
}

/// A valid launch.
pub fn launch(id: &str) -> Value {
    json!({"id": id, "account": "store-17", "date": "2026-11-22", "kind": "credit", "amount": "150.75", "currency": "BRL"})
}

/// Lines of valid launches over many accounts.
pub fn lines(ids: impl IntoIterator<Item = usize>) -> Vec<String> {
    let line = |id: usize| {
        let account = format!("store-{}", id % 101);
        json!({"id": format!("l-{id}"), "account": account, "date": "2026-11-22", "kind": "debit",
               "amount": format!("{}.07", id + 1), "currency": "BRL"})
        .to_string()
    };
    ids.into_iter().map(line).collect()
}
