//! Closed load: so many connections, each with one request at a time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::{
    figures::{Latency, rate},
    http::Connection,
};

/// What is asked of closed load.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Where to.
    pub address: SocketAddr,
    /// How many connections.
    pub connections: u16,
    /// Load before the measured stretch.
    pub warm_up: Duration,
    /// The measured stretch.
    pub stretch: Duration,
    /// The status that every answer must have.
    pub status: u16,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Answers per second in the measured stretch.
    pub per_second: u64,
    /// All requests, those of the warm-up included.
    pub requests: u64,
    /// From sending to the answer, as the connections saw it: with closed load a slow answer keeps the next request back,
    /// so this is no latency at a given rate.
    pub answer_time: Option<Latency>,
}

/// Runs it. `request` writes the request of a number; numbers are counted over all connections, from 0.
///
/// # Errors
/// A connection broke, or an answer had another status.
pub async fn closed<Request>(load: Closed, request: Request) -> anyhow::Result<Throughput>
where
    Request: Fn(u64, &mut Vec<u8>) + Clone + Send + 'static,
{
    let numbers = Arc::new(AtomicU64::new(0));
    let from = Instant::now() + load.warm_up;
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        let connection = Connection::open(load.address).await?;
        connections.spawn(ask_until_the_end(load, from, connection, Arc::clone(&numbers), request.clone()));
    }
    let mut times_us = Vec::new();
    while let Some(ended) = connections.join_next().await {
        times_us.extend(ended??);
    }
    let answers = u64::try_from(times_us.len())?;
    let requests = numbers.load(Relaxed);
    Ok(Throughput { per_second: rate(answers, load.stretch), requests, answer_time: Latency::of(times_us) })
}

/// The answer times inside of the measured stretch.
async fn ask_until_the_end(
    load: Closed,
    from: Instant,
    mut connection: Connection,
    numbers: Arc<AtomicU64>,
    request: impl Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<Vec<u64>> {
    let until = from + load.stretch;
    let (mut text, mut times_us) = (Vec::new(), Vec::new());
    loop {
        request(numbers.fetch_add(1, Relaxed), &mut text);
        let sent = Instant::now();
        let answer = connection.exchange(&text).await?;
        ensure!(answer.status == load.status, "status {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        let now = Instant::now();
        if now >= until {
            return Ok(times_us);
        }
        if now >= from {
            times_us.push(u64::try_from(now.duration_since(sent).as_micros())?);
        }
    }
}
