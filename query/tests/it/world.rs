//! A small pipeline without workers: commits made by hand, notices published by hand, one query instance on a socket.

mod client;
mod gate;
mod heart;
mod worker;

use std::{sync::Arc, time::Duration};

pub use client::{Answer, Ask};
pub use gate::Gate;
use heart::Heart;
use nats::{Changes, Client, ClientConfig, Log, LogSettings, Renaming, STREAM_EPOCH};
use protocol::{log::LogIdentity, notice::Notice, position::Position, simulation::store::StoreMode};
use query::{QueryConfig, run};
use retry::Shutdown;
use store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store};
use testkit::{NatsServer, TempDir, wait_until_async};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
pub use worker::{Entry, Worker, account_key as worker_account};

/// Within this time everything that is waited for happens, or the test fails.
pub const SOON: Duration = Duration::from_secs(20);

/// How a world begins.
pub struct Beginning {
    /// Lanes of the log.
    pub partitions: u16,
    /// Whether there is a log from the start.
    pub has_log: bool,
    /// Whether heartbeats are sent from the start.
    pub hearts_beat: bool,
    /// How long readers wait for the first word of a lane's worker; as configured by default if `None`.
    pub first_word_ms: Option<u64>,
    /// Whether the store writes commits as wholes, as the embedded one does.
    pub commits_are_whole: bool,
}

impl Default for Beginning {
    fn default() -> Self {
        Self { partitions: 4, has_log: true, hearts_beat: true, first_word_ms: None, commits_are_whole: true }
    }
}

/// Everything around one query instance.
pub struct World {
    pub nats: NatsServer,
    pub gate: Arc<Gate>,
    pub worker: Worker,
    pub heart: Heart,
    client: Client,
    changes: Changes,
    beginning: Beginning,
    query: Option<Query>,
    _folder: TempDir,
}

struct Query {
    base: String,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// Four lanes, an empty store, heartbeats, a query that hears them.
    pub async fn new() -> Self {
        let world = Self::begin(Beginning::default()).await;
        world.wait_until_fresh().await;
        world
    }

    /// A world with a query that has just been started.
    pub async fn begin(beginning: Beginning) -> Self {
        let mut world = Self::without_query(beginning).await;
        world.start_query().await;
        world
    }

    /// A world without a query.
    pub async fn without_query(beginning: Beginning) -> Self {
        let nats = NatsServer::start().unwrap();
        let folder = testkit::temp_folder().unwrap();
        let store: Arc<dyn Store> = if beginning.commits_are_whole {
            Arc::new(EmbeddedStore::open(EmbeddedConfig::new(folder.path().join("store"))).unwrap())
        } else {
            Arc::new(MemoryStore::new(StoreMode::Stepwise))
        };
        let gate = Arc::new(Gate::new(store));
        gate.open_generation(protocol::worker::FOLD_VERSION).await.unwrap();
        let client = Client::connect(&client_config(&nats)).await.unwrap();
        let changes = Changes::new(client.clone(), 1);
        let heart = Heart::start(changes.clone(), beginning.partitions, beginning.hearts_beat);
        let partitions = beginning.partitions;
        let worker = Worker::new(LogIdentity { epoch: 1, stream_id: "no log yet".into(), partitions });
        let has_log = beginning.has_log;
        let mut world = Self { client, nats, gate, worker, heart, changes, beginning, query: None, _folder: folder };
        if has_log {
            world.make_log().await;
        }
        world
    }

    /// Makes the log, of which the worker's commits are from now on.
    pub async fn make_log(&mut self) {
        let partitions = self.beginning.partitions;
        let settings = LogSettings { partitions, replicas: 1, max_bytes: -1, epoch: 1 };
        self.worker.identity = Log::ensure(&self.client, &settings).await.unwrap().identity().clone();
    }

    /// Gives the log another name, of which the worker knows nothing.
    pub async fn rename_log(&self, renaming: Renaming) -> LogIdentity {
        Log::rename(&self.client, STREAM_EPOCH, renaming).await.unwrap().identity
    }

    /// The position of a write.
    pub fn position(&self, partition: u16, sequence: u64) -> String {
        Position::of_lane(self.worker.identity.name(), partition, sequence).to_string()
    }

    pub async fn start_query(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let store: Arc<dyn Store> = Arc::clone(&self.gate) as _;
        let task = tokio::spawn(run(self.config(), listener, store, shutdown.clone()));
        self.query = Some(Query { base, shutdown, task });
    }

    fn config(&self) -> QueryConfig {
        let mut config = QueryConfig::new(client_config(&self.nats));
        config.first_word_ms = self.beginning.first_word_ms.unwrap_or(config.first_word_ms);
        config
    }

    /// Asks the query to stop; its result when it has.
    pub async fn stop_query(&mut self) -> anyhow::Result<()> {
        let query = self.query.take().unwrap();
        query.shutdown.begin(Duration::from_secs(5));
        query.task.await.unwrap()
    }

    /// Asks the query to stop and does not wait.
    pub fn begin_stop(&self) {
        self.query.as_ref().unwrap().shutdown.begin(Duration::from_secs(5));
    }

    /// What the query returns when it ends by itself.
    pub async fn end_of_query(&mut self) -> anyhow::Result<()> {
        self.query.take().unwrap().task.await.unwrap()
    }

    /// A request to the query, as tenant `acme`.
    pub fn ask(&self, path: &str) -> Ask {
        self.ask_as_nobody(path).tenant("acme")
    }

    /// A request without a tenant.
    pub fn ask_as_nobody(&self, path: &str) -> Ask {
        Ask::new(&self.query.as_ref().unwrap().base, path)
    }

    /// A request as it is given, and the whole answer but for its date, the lines of its head in order of their names.
    pub async fn exchange(&self, request: &str) -> String {
        let address = self.query.as_ref().unwrap().base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
        lines[1..].sort_unstable();
        format!("{}\r\n\r\n{body}", lines.join("\r\n"))
    }

    /// `GET` as tenant `acme`.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(path).send().await
    }

    /// Commits entries of one lane and tells it; the position that a writer would have been given.
    pub async fn post(&mut self, entries: &[Entry]) -> String {
        let notice = self.commit(entries).await;
        self.tell(&notice).await;
        self.position(notice.partition, notice.to)
    }

    /// Commits entries of one lane and tells nobody.
    pub async fn commit(&mut self, entries: &[Entry]) -> Notice {
        let (commit, notice) = self.worker.commit(entries);
        self.gate.commit(self.gate.incarnation(), &Arc::new(commit)).await.unwrap();
        notice
    }

    /// Publishes a notice and nothing else.
    pub async fn publish(&self, notice: &Notice) {
        self.changes.publish(notice).await.unwrap();
    }

    /// Publishes a notice, and goes on with heartbeats of its position.
    pub async fn tell(&self, notice: &Notice) {
        self.publish(notice).await;
        self.heart.beat_at(notice);
    }

    /// Waits until the query says that an answer is complete: it has heard of every lane.
    pub async fn wait_until_fresh(&self) {
        self.wait_for("complete", |world| async move {
            let answer = world.get("/v1/accounts").await;
            (answer.status == 200 && answer.header("saldo-complete") == "true").then_some(())
        })
        .await;
    }

    /// Waits until `condition` gives a value.
    pub async fn wait_for<'a, T, F, Fut>(&'a self, what: &str, condition: F) -> T
    where
        F: Fn(&'a Self) -> Fut,
        Fut: Future<Output = Option<T>>,
    {
        wait_until_async(what, SOON, || condition(self)).await.unwrap()
    }

    /// A counter or gauge of the query, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let of_name =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'));
        let lines: Vec<&str> = text.lines().filter(of_name).collect();
        assert!(!lines.is_empty(), "no metric {name} in {text}");
        lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn client_config(nats: &NatsServer) -> ClientConfig {
    ClientConfig {
        url: nats.url(),
        name: "test".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 2_000,
    }
}
