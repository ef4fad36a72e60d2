//! Open load: when each request should leave is set beforehand, whatever becomes of those before it. Latency counts from
//! that time and not from when a connection was free to send: a server that stands still for a second shows a second for
//! all that should have been sent in it (no coordinated omission).

use std::{
    future::Future,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

/// What is asked of open load.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Requests a second on the average; they come independently of each other (exponential gaps).
    pub per_second: u64,
    /// How many requests are sent before any is measured.
    pub warm_up_requests: u64,
    /// How many are measured.
    pub requests: u64,
    /// Of the gaps.
    pub seed: u64,
}

/// One request that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Which, from 0.
    pub number: u64,
    /// When it should leave.
    pub at: Instant,
    /// Whether it is measured.
    pub measured: bool,
}

/// Runs it: each of `workers` takes the next request that is due and returns when it is answered. Gives what the measured
/// ones gave.
///
/// # Errors
/// A worker failed.
pub async fn open<Worker, Answering, Measure>(load: Open, workers: Vec<Worker>) -> anyhow::Result<Vec<Measure>>
where
    Worker: FnMut(Due) -> Answering + Send + 'static,
    Answering: Future<Output = anyhow::Result<Measure>> + Send + 'static,
    Measure: Send + 'static,
{
    // Whether requests wait here or are sent late makes no difference: they count from the time that was set.
    let (sender, dues) = mpsc::channel(workers.len().max(1));
    let dues = Arc::new(Mutex::new(dues));
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(work(worker, Arc::clone(&dues)));
    }
    let pacer = thread::spawn(move || pace(load, &sender));
    drop(dues);
    let mut measures = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        measures.extend(ended??);
    }
    pacer.join().ok().context("the pacer broke down")?;
    Ok(measures)
}

async fn work<Worker, Answering, Measure>(
    mut worker: Worker,
    dues: Arc<Mutex<mpsc::Receiver<Due>>>,
) -> anyhow::Result<Vec<Measure>>
where
    Worker: FnMut(Due) -> Answering,
    Answering: Future<Output = anyhow::Result<Measure>>,
{
    let mut measures = Vec::new();
    loop {
        let due = dues.lock().await.recv().await;
        let Some(due) = due else { return Ok(measures) };
        let measure = worker(due).await?;
        if due.measured {
            measures.push(measure);
        }
    }
}

/// A thread sleeps more exactly than a runtime's timer, which counts in milliseconds.
fn pace(load: Open, dues: &mpsc::Sender<Due>) {
    let mut random = StdRng::seed_from_u64(load.seed);
    let mut at = Instant::now();
    for number in 0..load.warm_up_requests + load.requests {
        at += gap(load.per_second, &mut random);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let due = Due { number, at, measured: number >= load.warm_up_requests };
        if dues.blocking_send(due).is_err() {
            return; // Every worker has failed; they say why.
        }
    }
}

/// The time to the next request when they come independently of each other.
#[expect(clippy::float_arithmetic, reason = "an exponential distribution has a logarithm in it")]
fn gap(per_second: u64, random: &mut StdRng) -> Duration {
    let uniform: f64 = random.random();
    let mean_s = 1.0 / f64::from(u32::try_from(per_second).unwrap_or(u32::MAX));
    Duration::from_secs_f64(-mean_s * (1.0 - uniform).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_rate_that_was_asked_for_and_follow_the_seed() {
        let sum = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..100_000).map(|_| gap(5_000, &mut random)).sum::<Duration>()
        };
        assert!((19_700..20_300).contains(&sum(1).as_millis()), "{:?}", sum(1));
        assert_eq!(sum(1), sum(1));
        assert_ne!(sum(1), sum(2));
    }

    #[tokio::test]
    async fn latency_counts_from_the_time_that_was_set_although_the_only_worker_was_busy() {
        let load = Open { per_second: 1_000_000, warm_up_requests: 1, requests: 3, seed: 1 };
        let pause = Duration::from_millis(20);
        let worker = move |due: Due| async move {
            tokio::time::sleep(pause).await;
            Ok((due.number, due.at.elapsed()))
        };
        let measures = open(load, vec![worker]).await.unwrap();
        let numbers: Vec<u64> = measures.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        // The last one waited for three others although each was answered in one pause.
        assert!(measures[2].1 >= pause * 4 - Duration::from_millis(1), "{measures:?}");
    }
}
