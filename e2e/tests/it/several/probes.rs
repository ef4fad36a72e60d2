//! Posting into every lane all the time, and reading back each time what was posted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use protocol::position::Position;
use rand::{SeedableRng, rngs::StdRng};
use testkit::wait_until_async;
use tokio::task::JoinHandle;

use super::{PARTITIONS, PATIENCE};
use crate::{
    client::Client,
    cluster::{Cluster, account_in},
    model::{Launch, Model, random_launch},
};

/// Launches of one bulk: the load beside the one launch that is read back.
const LAUNCHES_A_BULK: usize = 30;
/// Between two reads of one who demands no position: the answer is rarely the same again, and leaves time for others.
const READ_PERIOD: Duration = Duration::from_millis(50);

/// What readers saw since the last time it was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// From the acknowledgement of a launch until it was in an answer.
    pub wait: Duration,
    /// Answers that it is not there yet, after a wait of ten seconds, or of the default where no position is demanded.
    pub refusals: u64,
    /// From the request to an answer, where no position is demanded.
    pub undemanding_wait: Duration,
}

/// For each lane a poster that reads back what it has posted, and a reader who demands no position.
pub struct Probes {
    tasks: Vec<JoinHandle<anyhow::Result<(Model, String)>>>,
    readers: Vec<JoinHandle<anyhow::Result<()>>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    seen: Mutex<Seen>,
    /// How many launches were read back in each lane.
    rounds: Vec<AtomicU64>,
}

impl Shared {
    /// An answer to a reader who demands no position.
    fn note_undemanding(&self, wait: Duration, is_refused: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.undemanding_wait = seen.undemanding_wait.max(wait);
        seen.refusals += u64::from(is_refused);
    }
}

impl Probes {
    /// Each lane has an account of its own, half of them read from either query.
    pub fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let clients = cluster.clients()?;
        let rounds = (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { rounds, ..Shared::default() });
        let probe = |partition: u16| {
            let client = clients[usize::from(partition) % clients.len()].clone();
            let probe = Probe {
                client,
                account: account_in("store", partition, PARTITIONS)?,
                partition,
                shared: Arc::clone(&shared),
            };
            anyhow::Ok(tokio::spawn(probe.run()))
        };
        let tasks = (0..PARTITIONS).map(probe).collect::<anyhow::Result<_>>()?;
        let reader = |partition: u16| {
            let client = clients[usize::from(partition) % clients.len()].clone();
            let path = format!("/v1/accounts/{}/balance", account_in("store", partition, PARTITIONS)?);
            anyhow::Ok(tokio::spawn(read_undemanding(client, path, Arc::clone(&shared))))
        };
        let readers = (0..PARTITIONS).map(reader).collect::<anyhow::Result<_>>()?;
        Ok(Self { tasks, readers, shared })
    }

    /// Waits until in every lane a launch was read back that was posted from now on.
    pub async fn seen_everywhere(&self) -> anyhow::Result<()> {
        let rounds = || self.shared.rounds.iter().map(|round| round.load(Relaxed));
        // The round in progress may have been posted before.
        let wanted: Vec<u64> = rounds().map(|round| round + 2).collect();
        let went_on = async || {
            let has_failed =
                self.tasks.iter().any(JoinHandle::is_finished) || self.readers.iter().any(JoinHandle::is_finished);
            (has_failed || rounds().zip(&wanted).all(|(round, wanted)| round >= *wanted)).then_some(())
        };
        wait_until_async("every lane to be read anew", PATIENCE, went_on).await
    }

    /// The longest wait since the last call.
    pub fn longest(&self) -> Seen {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends; what was acknowledged, and the position of the last of it in every lane.
    pub async fn finish(self) -> anyhow::Result<(Model, String)> {
        self.shared.is_over.store(true, Relaxed);
        let (mut all, mut position) = (Model::default(), None::<Position>);
        for task in self.tasks {
            let (model, last) = task.await??;
            let last: Position = last.parse().ok().context("a position")?;
            all.merge(model);
            match &mut position {
                None => position = Some(last),
                Some(position) => position.lanes.extend(last.lanes),
            }
        }
        for reader in self.readers {
            reader.await??;
        }
        Ok((all, position.context("there are lanes")?.to_string()))
    }
}

struct Probe {
    client: Client,
    account: String,
    partition: u16,
    shared: Arc<Shared>,
}

impl Probe {
    async fn run(self) -> anyhow::Result<(Model, String)> {
        let mut random = StdRng::seed_from_u64(self.partition.into());
        let (mut model, mut position) = (Model::default(), String::new());
        for round in 0.. {
            let numbers = round * LAUNCHES_A_BULK..(round + 1) * LAUNCHES_A_BULK;
            let launches: Vec<Launch> = numbers
                .map(|number| Launch { account: self.account.clone(), ..random_launch(&mut random, 1, number) })
                .collect();
            let answer = self.client.post_ndjson(&launches).await?;
            ensure!(answer.status == 200 && answer.body["rejected"] == 0, "{answer:?}");
            launches.iter().for_each(|launch| model.add(launch));
            position = answer.body["position"].as_str().unwrap_or_default().to_owned();
            self.read(&model, &position).await?;
            self.shared.rounds[usize::from(self.partition)].fetch_add(1, Relaxed);
            if self.shared.is_over.load(Relaxed) {
                break;
            }
        }
        Ok((model, position))
    }

    /// Reads until the answer is as new as the position; it must be what the model has.
    async fn read(&self, model: &Model, position: &str) -> anyhow::Result<()> {
        let posted = Instant::now();
        let path = format!("/v1/accounts/{}/balance", self.account);
        loop {
            let answer = self.client.get(&path, Some(position)).await?;
            let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if answer.status == 200 {
                seen.wait = seen.wait.max(posted.elapsed());
                ensure!(answer.body["currencies"] == model.balance(&self.account), "{answer:?}");
                return Ok(());
            }
            seen.refusals += 1;
            ensure!(answer.status == 503, "{answer:?}");
            ensure!(posted.elapsed() < PATIENCE, "lane {} does not go on: {answer:?}", self.partition);
        }
    }
}

/// Reads an account again and again, at whatever position there is.
async fn read_undemanding(client: Client, path: String, shared: Arc<Shared>) -> anyhow::Result<()> {
    let mut pace = tokio::time::interval(READ_PERIOD);
    let mut asked = Instant::now();
    while !shared.is_over.load(Relaxed) {
        let answer = client.get(&path, None).await?;
        // Before its first launch an account is unknown.
        ensure!(matches!(answer.status, 200 | 404 | 503), "{answer:?}");
        let is_refused = answer.status == 503;
        shared.note_undemanding(asked.elapsed(), is_refused);
        if is_refused {
            continue;
        }
        pace.tick().await;
        asked = Instant::now();
    }
    Ok(())
}
