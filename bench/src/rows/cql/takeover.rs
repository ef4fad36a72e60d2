//! SIGKILL for one of three aggregators: until the others hold its lanes, and until every lane can be read anew.

use std::time::{Duration, Instant};

use testkit::wait_until;

use super::{aggregators::PARTITIONS, launches, post};
use crate::{
    arguments::Run,
    deployment::Deployment,
    launches::Launches,
    report::{Figure, Goal, grouped},
};

/// Who dies, and who comes in its place.
const ROUNDS: [(&str, &str); 3] = [("one", "four"), ("two", "five"), ("three", "six")];
const PATIENCE: Duration = Duration::from_secs(60);
const SERIES: u64 = 24;
/// So many accounts that every lane has one.
const ACCOUNTS_OF_ALL_LANES: u64 = 100;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let mut deployment = Deployment::start(&run.saldo, PARTITIONS)?;
    deployment.join(&ROUNDS.map(|(dies, _)| dies))?;
    let (mut held, mut readable) = (Duration::ZERO, Duration::ZERO);
    for (round, (dies, comes)) in (0..).zip(ROUNDS) {
        deployment.wait_until_even(PARTITIONS)?;
        let times = kill(run, &mut deployment, dies, SERIES + 2 * round)?;
        held = held.max(times.held);
        readable = readable.max(times.readable);
        deployment.join(&[comes])?;
    }
    Ok(figures(run, held, readable))
}

struct Times {
    held: Duration,
    readable: Duration,
}

/// Kills it when a bulk has just been written: the checkpoint lags, and what lies above is read again.
fn kill(run: &Run, deployment: &mut Deployment, dies: &str, series: u64) -> anyhow::Result<Times> {
    post::bulk(&deployment.edges, Launches::new(run.seed, series), bulk(run))?;
    let start = Instant::now();
    deployment.kill(dies)?;
    let all_held = || deployment.lanes_held().ok().filter(|held| *held == u64::from(PARTITIONS));
    wait_until("the others to hold every lane", PATIENCE, all_held)?;
    let held = start.elapsed();
    post::bulk(&deployment.edges, Launches::new(run.seed, series + 1), ACCOUNTS_OF_ALL_LANES)?;
    Ok(Times { held, readable: start.elapsed() })
}

fn bulk(run: &Run) -> u64 {
    launches(run) / 4
}

fn figures(run: &Run, held: Duration, readable: Duration) -> Vec<Figure> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let figure = |name: &str, duration, goal| Figure {
        name: format!("CQL store: one of three aggregators killed: {name}"),
        unit: "ms",
        saldo: millis(duration),
        reference: None,
        goal,
        latency: None,
        notes: format!(
            "the longest of {} times; {} launches were written just before, and what lies above the checkpoint, which lags \
             by 20 s, is read again",
            ROUNDS.len(),
            grouped(bulk(run))
        ),
    };
    vec![
        figure("until the others hold its lanes", held, Some(Goal::AtMost(5_000))),
        figure("until a launch posted then can be read in every lane", readable, None),
    ]
}
