//! The same bulk with one, two and three aggregators that share the lanes.

use super::{launches, post, warm_up};
use crate::{
    arguments::Run,
    deployment::Deployment,
    figures::rate,
    launches::Launches,
    report::{Figure, grouped},
};

/// Lanes that one, two and three can share evenly.
pub const PARTITIONS: u16 = 6;
const NAMES: [&str; 3] = ["one", "two", "three"];
const SERIES: u64 = 16;
const WARM_UP: u64 = 20;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let mut deployment = Deployment::start(&run.saldo, PARTITIONS)?;
    let mut figures = Vec::new();
    for (number, name) in (1..).zip(NAMES) {
        deployment.join(&[name])?;
        deployment.wait_until_even(PARTITIONS)?;
        if number == 1 {
            warm_up(run, &deployment, WARM_UP)?;
        }
        figures.push(figure(run, &deployment, number)?);
    }
    Ok(figures)
}

fn figure(run: &Run, deployment: &Deployment, number: u64) -> anyhow::Result<Figure> {
    let (count, before) = (launches(run), deployment.written()?);
    let posted = post::bulk(&deployment.edges, Launches::new(run.seed, SERIES + number), count)?;
    let written = deployment.written()?.since(&before);
    Ok(Figure {
        name: format!("CQL store: the same bulk with {number} of at most three aggregators"),
        unit: "launches/s",
        saldo: rate(count, posted.readable),
        reference: None,
        goal: None,
        latency: None,
        notes: format!(
            "{} launches, 10,000 accounts, {PARTITIONS} lanes; {} rows a thousand launches; all of it on the same cores: more \
             processes bring no more of them",
            grouped(count),
            written.all_rows() * 1_000 / written.launches.max(1)
        ),
    })
}
