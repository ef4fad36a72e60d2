//! Callers that post and read until the failures are over, and what must hold then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    book::Book,
    history::History,
    poster::{Poster, Way},
    readers::{Observation, Reader},
    report::Report,
    stage::PAUSE,
    tested::Tested,
    verdict::Verdict,
};
use crate::{
    client::Client,
    model::{Launch, random_launch},
};

/// Accounts that callers post to and read.
pub const ACCOUNTS: usize = 3;
/// What their names begin with; others belong to a scenario.
pub const LOADED: &str = "store-";
/// Clients that repeat what was not acknowledged, and those that never repeat.
const REPEATING: u64 = 3;
const HASTY: u64 = 2;
const READERS: u64 = 3;
/// Ids that all clients use, each with a content of its own.
const CONTESTED: u64 = 40;

/// Posting and reading callers, running.
pub struct Load {
    pub book: Arc<Book>,
    posting: Vec<JoinHandle<anyhow::Result<()>>>,
    reading: Vec<JoinHandle<anyhow::Result<Vec<Observation>>>>,
    stop_posting: Arc<AtomicBool>,
    stop_reading: Arc<AtomicBool>,
}

impl Load {
    /// Starts all callers.
    pub fn start(tested: &impl Tested, seed: u64) -> anyhow::Result<Self> {
        Self::start_with(tested, seed, PAUSE)
    }

    /// The same, with a pause of each caller after each answer. It bounds the log of a long outage, and the verdict, whose time
    /// grows with answers times launches; nothing is waited for.
    pub fn start_with(tested: &impl Tested, seed: u64, pause: Duration) -> anyhow::Result<Self> {
        let clients = tested.clients()?;
        let client = clients.first().context("there is no query")?;
        let book = Arc::new(Book::default());
        let (stop_posting, stop_reading) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let post = |number: u64| {
            let way = if number < REPEATING { Way::Repeating } else { Way::Hasty };
            let poster = Poster { client: client.clone(), book: Arc::clone(&book), way };
            tokio::spawn(post_until_stopped(poster, (seed, number), pause, Arc::clone(&stop_posting)))
        };
        // Each reader stays with one query: that a position is passed on to another promises that position and no more.
        let read = |(number, client): (u64, &Client)| {
            let reader = Reader::new(client.clone(), Arc::clone(&book), seed.wrapping_add(number));
            tokio::spawn(read_until_stopped(reader, pause, Arc::clone(&stop_reading)))
        };
        let posting = (0..REPEATING + HASTY).map(post).collect();
        let reading = (0..READERS).zip(clients.iter().cycle()).map(read).collect();
        Ok(Self { book: Arc::clone(&book), posting, reading, stop_posting, stop_reading })
    }

    /// Another caller, with the book that the verdict is about.
    pub fn poster(&self, client: Client, way: Way) -> Poster {
        Poster { client, book: Arc::clone(&self.book), way }
    }

    /// The failures are over: ends the callers, waits until all is applied, and checks everything. What was broken is
    /// stopped in the end.
    pub async fn finish(self, tested: &mut impl Tested) -> anyhow::Result<Report> {
        let report = self.judge(tested).await?;
        tested.stop().await?;
        Ok(report)
    }

    /// As [`Load::finish`], but everything goes on.
    pub async fn judge(self, tested: &impl Tested) -> anyhow::Result<Report> {
        self.judge_with_history(tested).await.map(|(report, _)| report)
    }

    /// The same, and the log as it stands, for checks of the scenario's own.
    pub async fn judge_with_history(self, tested: &impl Tested) -> anyhow::Result<(Report, History)> {
        self.stop_posting.store(true, Ordering::Relaxed);
        for task in self.posting {
            task.await??;
        }
        let clients = tested.clients()?;
        for client in &clients {
            tested.log()?.wait_until_applied(client).await?;
        }
        self.stop_reading.store(true, Ordering::Relaxed);
        let mut observed = Vec::new();
        for task in self.reading {
            observed.push(task.await??);
        }
        let history = History::read(&tested.log()?)?;
        let verdict = Verdict { book: &self.book, history: &history };
        verdict.check_log(tested.probes())?;
        verdict.check_observations(&observed)?;
        for client in &clients {
            verdict.check_days(client).await?;
        }
        let report = self.book.report().clone();
        Ok((report, history))
    }
}

async fn post_until_stopped(
    poster: Poster,
    (seed, client): (u64, u64),
    pause: Duration,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(client));
    let mut posted = 0;
    while !stop.load(Ordering::Relaxed) {
        match random.random_range(0..10_u8) {
            0 => poster.post_ndjson(&batch(&mut random, client, &mut posted)).await?,
            1 => poster.post_array(&batch(&mut random, client, &mut posted)).await?,
            _ => poster.post(&launch(&mut random, client, &mut posted)).await?,
        }
        sleep(pause).await;
    }
    Ok(())
}

fn batch(random: &mut StdRng, client: u64, posted: &mut usize) -> Vec<Launch> {
    let count = random.random_range(1..60);
    (0..count).map(|_| launch(random, client, posted)).collect()
}

/// A launch of the client's own, or now and then one under an id that others use, too.
fn launch(random: &mut StdRng, client: u64, posted: &mut usize) -> Launch {
    *posted += 1;
    let mut launch = random_launch(random, ACCOUNTS, *posted);
    launch.id = format!("c{client}-{}", launch.id);
    if random.random_bool(0.03) {
        contest(&mut launch, random.random_range(0..CONTESTED), client);
    }
    launch
}

fn contest(launch: &mut Launch, number: u64, client: u64) {
    launch.account = format!("store-{}", number % ACCOUNTS as u64);
    launch.date = format!("2026-09-{:02}", number % 28 + 1);
    launch.id = format!("contested-{number}");
    (launch.credit, launch.currency) = (true, "BRL");
    launch.minor_units = i128::from(client) + 1;
}

async fn read_until_stopped(
    mut reader: Reader,
    pause: Duration,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Observation>> {
    while !stop.load(Ordering::Relaxed) {
        let asked_at = Instant::now();
        reader.read(asked_at).await?;
        sleep(pause).await;
    }
    Ok(reader.observed)
}
