//! Failures under load: clients that repeat what was not acknowledged, a reader that passes its position on, and processes
//! that are killed, stopped and paused meanwhile. At the end every launch counts once.
//!
//! One seeded round is a test like any other; `cargo xtask chaos --minutes N` goes on for as long as one wants.

use std::{
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    client::Client,
    model::{Launch, Model, random_launches},
    pipeline::Pipeline,
};

const CLIENTS: u64 = 4;
const LAUNCHES_A_CLIENT: usize = 1_500;
const FAILURES_A_ROUND: usize = 4;
/// A client gives up after this long without an answer that acknowledges.
const CLIENT_PATIENCE: Duration = Duration::from_secs(120);
/// Pause of a client before it repeats what was not acknowledged.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// The account that the reader watches: every client posts to it.
const WATCHED: &str = "store-0";

/// What can be broken.
#[derive(Clone, Copy, Debug)]
enum Failure {
    KillSaldo,
    StopSaldo,
    KillNatsServer,
    PauseNatsServer,
}

const FAILURES: [Failure; 4] =
    [Failure::KillSaldo, Failure::StopSaldo, Failure::KillNatsServer, Failure::PauseNatsServer];

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_launch_counts_once_whatever_is_killed() -> anyhow::Result<()> {
    let seed = variable("SALDO_CHAOS_SEED")?.unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(variable("SALDO_CHAOS_SECONDS")?.unwrap_or(0));
    for seed in seed.. {
        println!("chaos: seed {seed}");
        round(seed).await.with_context(|| format!("repeat it with cargo xtask chaos --seed {seed}"))?;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(())
}

fn variable(name: &str) -> anyhow::Result<Option<u64>> {
    env::var(name).ok().map(|text| text.parse().with_context(|| format!("{name} is a whole number"))).transpose()
}

async fn round(seed: u64) -> anyhow::Result<()> {
    let (pipeline, ports) = Pipeline::start_with_fixed_ports().await?;
    let client = Client::new(&pipeline)?;
    let launches: Vec<_> = (0..CLIENTS).map(|number| launches_of(seed, number)).collect();
    let posting: Vec<_> =
        launches.iter().map(|own| tokio::spawn(post_until_acknowledged(client.clone(), own.clone()))).collect();
    let done = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(read_forward(client.clone(), Arc::clone(&done)));

    let pipeline = break_things(pipeline, ports, seed).await?;
    for task in posting {
        task.await??;
    }
    pipeline.wait_until_applied().await?;
    done.store(true, Ordering::Relaxed);
    reading.await??;
    let mut model = Model::default();
    launches.iter().flatten().for_each(|launch| model.add(launch));
    client.check(&model, None).await?;
    pipeline.stop().await
}

fn launches_of(seed: u64, client: u64) -> Vec<Launch> {
    let mut launches = random_launches(seed.wrapping_mul(1_000) + client, 3, LAUNCHES_A_CLIENT);
    launches.iter_mut().for_each(|launch| launch.id = format!("c{client}-{}", launch.id));
    launches
}

async fn break_things(pipeline: Pipeline, ports: [u16; 4], seed: u64) -> anyhow::Result<Pipeline> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut running = pipeline;
    for _ in 0..FAILURES_A_ROUND {
        // Not a wait for something: the moment of the failure is what the seed chooses.
        sleep(Duration::from_millis(random.random_range(50..700))).await;
        let failure = FAILURES[random.random_range(0..FAILURES.len())];
        println!("chaos: {failure:?}");
        running = cause(failure, running, ports, &mut random).await?;
    }
    Ok(running)
}

async fn cause(failure: Failure, pipeline: Pipeline, ports: [u16; 4], random: &mut StdRng) -> anyhow::Result<Pipeline> {
    match failure {
        Failure::KillSaldo => Pipeline::start_on_ports(pipeline.kill()?, ports).await,
        Failure::StopSaldo => Pipeline::start_on_ports(pipeline.stop_keeping_data().await?, ports).await,
        Failure::KillNatsServer => {
            signal(pipeline.nats_server_id()?, "KILL")?;
            Ok(pipeline)
        }
        Failure::PauseNatsServer => {
            let id = pipeline.nats_server_id()?;
            signal(id, "STOP")?;
            sleep(Duration::from_millis(random.random_range(200..3_000))).await;
            signal(id, "CONT")?;
            Ok(pipeline)
        }
    }
}

/// A nats-server that is gone already (it is being restarted) needs no signal.
fn signal(id: u32, name: &str) -> anyhow::Result<()> {
    Command::new("kill").args([format!("-{name}"), id.to_string()]).output()?;
    Ok(())
}

/// Posts one by one and in bulks, and repeats whatever was not acknowledged as a whole.
async fn post_until_acknowledged(client: Client, launches: Vec<Launch>) -> anyhow::Result<()> {
    for (number, group) in launches.chunks(50).enumerate() {
        if number % 2 == 0 {
            repeat(|| client.post_ndjson(group)).await?;
            continue;
        }
        for launch in group {
            repeat(|| client.post(launch)).await?;
        }
    }
    Ok(())
}

async fn repeat<F>(mut post: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<crate::client::Answer>>,
{
    let deadline = Instant::now() + CLIENT_PATIENCE;
    loop {
        let problem = match post().await {
            Ok(answer) if matches!(answer.status, 200 | 201) => {
                ensure!(answer.body["rejected"].as_u64().unwrap_or(0) == 0, "refused: {answer:?}");
                return Ok(());
            }
            Ok(answer) if answer.status == 503 => format!("{answer:?}"),
            Ok(answer) => bail!("unexpected: {answer:?}"),
            Err(error) => format!("{error:#}"),
        };
        ensure!(Instant::now() < deadline, "not acknowledged: {problem}");
        sleep(REPEAT_AFTER).await;
    }
}

/// Passes its last position on and must never see fewer launches than before.
async fn read_forward(client: Client, done: Arc<AtomicBool>) -> anyhow::Result<()> {
    let (mut position, mut counted) = (None::<String>, 0);
    let path = format!("/v1/accounts/{WATCHED}/days?from=2026-08-01&to=2026-11-30&limit=366");
    while !done.load(Ordering::Relaxed) {
        let Ok(answer) = client.get(&path, position.as_deref()).await else {
            sleep(REPEAT_AFTER).await;
            continue;
        };
        ensure!(matches!(answer.status, 200 | 404 | 503), "{answer:?}");
        if answer.status != 200 {
            sleep(REPEAT_AFTER).await;
            continue;
        }
        let now = launches_in(&answer.body)?;
        ensure!(now >= counted, "a reader went back from {counted} to {now} launches");
        counted = now;
        position = Some(answer.header("saldo-position").to_owned());
    }
    Ok(())
}

fn launches_in(list: &serde_json::Value) -> anyhow::Result<u64> {
    let items = list["items"].as_array().with_context(|| format!("a list has items: {list}"))?;
    let currencies = items.iter().filter_map(|day| day["currencies"].as_array()).flatten();
    let count = |currency: &serde_json::Value, field: &str| currency[field].as_u64().unwrap_or_default();
    Ok(currencies.map(|currency| count(currency, "credit_count") + count(currency, "debit_count")).sum())
}
