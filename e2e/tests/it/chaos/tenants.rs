//! Tenants against each other: one floods and drips, and nobody else notices.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::ensure;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{bad_clients::port, load::Load, outage, report::Report, stage::Stage};

/// The tenant that behaves badly.
const FLOODING: &str = "flood";
/// How long anybody else waits at most.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Callers of each kind. More of them drip than there are places for bulks, and more bodies are slow than there is room for.
const FLOODS: u64 = 8;
const ARRAYS: u64 = 4;
const SINGLES: u64 = 16;
const READERS: u64 = 96;
const DRIPPING_BULKS: usize = 100;
const SLOW_BODIES: usize = 320;
/// Launches of a bulk of the flood.
const BULK: u64 = 1_000;
/// Bytes of a slow array that come at once: 320 of them are more than all the room of long bodies.
const SLOW_BYTES: usize = 1_000_000;

/// Other tenants get no 408, 429 or 503, and are answered within two seconds.
pub async fn others(seed: u64) -> anyhow::Result<Report> {
    let mut stage = Stage::new().await?;
    let flood = Flood::of(&stage)?;
    let bad = flood.start();
    let load = Load::start(&stage, seed)?;
    sleep(outage(Duration::from_secs(6), Duration::from_secs(60))).await;
    let answered = flood.answered.load(Relaxed);
    drop(bad);
    let report = load.finish(&mut stage).await?;
    ensure!(answered > 0, "the flood was never answered");
    for bad in ["408", "429", "503", "connection", "no answer"] {
        ensure!(!report.has_seen(bad), "others saw {bad}: {report:?}");
    }
    ensure!(report.longest_wait() < LONGEST_WAIT, "others waited too long: {report:?}");
    Ok(report)
}

/// What the bad tenant does, until it is dropped.
#[derive(Clone)]
struct Flood {
    http: reqwest::Client,
    ingest: String,
    query: String,
    ingest_port: u16,
    /// Numbers its launches and requests, so that each is new.
    next: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
}

impl Flood {
    fn of(stage: &Stage) -> anyhow::Result<Self> {
        let pipeline = stage.pipeline()?;
        Ok(Self {
            http: reqwest::Client::new(),
            ingest: format!("{}/v1/launches", pipeline.ingest),
            query: pipeline.query.clone(),
            ingest_port: port(&pipeline.ingest)?,
            next: Arc::default(),
            answered: Arc::default(),
        })
    }

    fn start(&self) -> JoinSet<()> {
        let mut all = JoinSet::new();
        for _ in 0..DRIPPING_BULKS {
            all.spawn(self.clone().drip_again_and_again("application/x-ndjson", format!("{}\n", self.launch()).into()));
        }
        let slow: Arc<str> = format!("[{}", " ".repeat(SLOW_BYTES)).into();
        for _ in 0..SLOW_BODIES {
            all.spawn(self.clone().drip_again_and_again("application/json", Arc::clone(&slow)));
        }
        for _ in 0..FLOODS {
            let bulk = |flood: &Self| (0..BULK).map(|_| flood.launch() + "\n").collect();
            all.spawn(self.clone().post_again_and_again("application/x-ndjson", bulk));
        }
        for _ in 0..ARRAYS {
            let rubbish = |_: &Self| format!("[{}1]", "1,".repeat(250_000));
            all.spawn(self.clone().post_again_and_again("application/json", rubbish));
        }
        for _ in 0..SINGLES {
            all.spawn(self.clone().post_again_and_again("application/json", Self::launch));
        }
        for _ in 0..READERS {
            all.spawn(self.clone().read_again_and_again());
        }
        all
    }

    fn launch(&self) -> String {
        let number = self.next.fetch_add(1, Relaxed);
        format!(
            r#"{{"id":"f-{number}","account":"flood-{}","date":"2026-09-{:02}","kind":"credit","amount":"1.00","currency":"BRL"}}"#,
            number % 50,
            number % 28 + 1,
        )
    }

    async fn post_again_and_again(self, media_type: &'static str, body: fn(&Self) -> String) {
        loop {
            let request = self.http.post(&self.ingest).header("content-type", media_type).body(body(&self));
            self.send(request).await;
        }
    }

    /// Another range each time, of those that are not cached for long while the flood goes on.
    async fn read_again_and_again(self) {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            let (account, from) = (number % 50, number % 28 + 1);
            let path =
                format!("/v1/accounts/flood-{account}/days?from=2026-01-{from:02}&to=2026-12-31&include_empty=true");
            self.send(self.http.get(format!("{}{path}", self.query))).await;
        }
    }

    /// Whatever it is told, it goes on; a refusal makes it wait for a moment, for want of a processor of its own.
    async fn send(&self, request: reqwest::RequestBuilder) {
        let answer = request.header("saldo-tenant", FLOODING).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => {
                self.answered.fetch_add(1, Relaxed);
                drop(answer.bytes().await);
            }
            _ => sleep(Duration::from_millis(10)).await,
        }
    }

    async fn drip_again_and_again(self, media_type: &'static str, part: Arc<str>) {
        loop {
            // Refused, or cut off: it comes back.
            drop(drip(self.ingest_port, media_type, part.as_bytes()).await);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Begins a body, and sends a byte now and then, as long as somebody listens.
async fn drip(port: u16, media_type: &str, part: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let head = format!(
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {FLOODING}\r\nContent-Type: {media_type}\r\n\
         Content-Length: 8000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(part).await?;
    loop {
        let answered = timeout(Duration::from_millis(500), stream.readable()).await;
        if answered.is_ok() {
            return Ok(());
        }
        stream.write_all(b" ").await?;
    }
}
