//! From a POST to the launch in a readable day, at a rate set beforehand.
//!
//! Each request posts a launch, takes the position of the answer, and reads the account's day at that position: the answer
//! comes when the launch is in it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tokio::sync::Mutex;

use crate::{
    arguments::Run,
    figures::Latency,
    http::{Connection, position_in},
    launches::{Launches, account_of, write_get},
    load::{Due, Open, in_own_thread, open},
    pipeline::Pipeline,
    report::{Figure, Goal},
};

const PER_SECOND: u64 = 5_000;
const CONNECTIONS: usize = 256;
const SERIES: u64 = 5;

/// What one request took, from the time that was set for it.
struct Times {
    acknowledged: Duration,
    visible: Duration,
}

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    let load = Open {
        per_second: PER_SECOND,
        warm_up_requests: PER_SECOND * run.warm_up().as_secs(),
        requests: PER_SECOND * run.stretch().as_secs(),
        seed: run.seed,
    };
    let (ingest, query, launches) = (pipeline.edges.ingest, pipeline.edges.query, Launches::new(run.seed, SERIES));
    let times = in_own_thread(async move { open(load, workers(ingest, query, launches).await?).await })?;
    pipeline.stop()?;
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let visible = Latency::of(times.iter().map(|times| micros(times.visible)).collect()).context("nothing measured")?;
    let acknowledged = Latency::of(times.iter().map(|times| micros(times.acknowledged)).collect());
    Ok(figures(visible, acknowledged))
}

fn figures(visible: Latency, acknowledged: Option<Latency>) -> Vec<Figure> {
    let figure = |name: &str, value_us, goal, latency| Figure {
        name: format!("{name}, {PER_SECOND} launches/s, open model"),
        unit: "µs",
        saldo: value_us,
        reference: None,
        goal,
        latency,
        notes: format!("from the time set for each, {CONNECTIONS} connections, gaps exponential"),
    };
    let mut figures = vec![
        figure("POST to visible, median", visible.p50_us, Some(Goal::AtMost(5_000)), Some(visible)),
        figure("POST to visible, p99", visible.p99_us, Some(Goal::AtMost(25_000)), None),
    ];
    let acknowledged =
        acknowledged.map(|times| figure("POST to acknowledged, median", times.p50_us, None, Some(times)));
    figures.extend(acknowledged);
    figures
}

/// A connection to each side, and the requests' bytes.
struct Pair {
    ingest: Connection,
    query: Connection,
    request: Vec<u8>,
    position: Vec<u8>,
}

async fn workers(
    ingest: SocketAddr,
    query: SocketAddr,
    launches: Launches,
) -> anyhow::Result<Vec<impl FnMut(Due) -> BoxedTimes + Send + 'static>> {
    let mut workers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let (ingest, query) = (Connection::open(ingest).await?, Connection::open(query).await?);
        let pair = Pair { ingest, query, request: Vec::new(), position: Vec::new() };
        let pair = Arc::new(Mutex::new(pair));
        workers.push(move |due| {
            let pair = Arc::clone(&pair);
            Box::pin(async move { pair.lock().await.take(launches, due).await }) as BoxedTimes
        });
    }
    Ok(workers)
}

type BoxedTimes = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Times>> + Send>>;

impl Pair {
    async fn take(&mut self, launches: Launches, due: Due) -> anyhow::Result<Times> {
        launches.write_post(due.number, &mut self.request);
        let answer = self.ingest.exchange(&self.request).await?;
        ensure!(answer.status == 201, "status {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        let acknowledged = due.at.elapsed();
        self.position.clear();
        self.position.extend_from_slice(position_in(answer.body).context("no position")?);
        write_get(account_of(due.number), Some(&self.position), &mut self.request);
        let day = self.query.exchange(&self.request).await?;
        ensure!(day.status == 200, "status {}: {}", day.status, String::from_utf8_lossy(day.body));
        Ok(Times { acknowledged, visible: due.at.elapsed() })
    }
}
