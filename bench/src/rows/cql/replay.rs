//! A full log into empty tables, beside the same into an empty embedded store.

use std::time::{Duration, Instant};

use super::{launches, post};
use crate::{
    arguments::Run,
    deployment::Deployment,
    figures::rate,
    launches::Launches,
    load::in_own_thread,
    report::{Figure, Reference},
    rows::replay,
};

const SERIES: u64 = 14;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let (count, launches) = (launches(run), Launches::new(run.seed, SERIES));
    let mut deployment = Deployment::start(&run.saldo, run.partitions())?;
    let (took, written) = replayed(&mut deployment, launches, count)?;
    drop(deployment);
    let (embedded, _raw) = replay::embedded(run, launches, count)?;
    Ok(vec![Figure {
        name: "CQL store: replay of a full log into empty tables".to_owned(),
        unit: "launches/s",
        saldo: rate(count, took),
        reference: Some(Reference {
            name: "the same into an empty embedded store".to_owned(),
            figure: rate(count, embedded),
        }),
        goal: None,
        latency: None,
        notes: format!(
            "{count} launches, one aggregator; from its start until every launch is in a readable day: {} ms; {} rows a thousand launches",
            took.as_millis(),
            written
        ),
    }])
}

/// Time from the aggregator's start, and rows a thousand launches.
fn replayed(deployment: &mut Deployment, launches: Launches, count: u64) -> anyhow::Result<(Duration, u64)> {
    let accepted = post::accept(deployment.edges.ingest, launches, count)?;
    // A server that has just started interprets its own code: the first tables are filled for it.
    deployment.join(&["first"])?;
    in_own_thread(accepted.wait_until_readable(&deployment.edges))?;
    deployment.leave("first")?;
    deployment.with_empty_tables()?;
    let start = Instant::now();
    deployment.join(&["second"])?;
    in_own_thread(accepted.wait_until_readable(&deployment.edges))?;
    let took = start.elapsed();
    let written = deployment.written()?;
    Ok((took, written.all_rows() * 1_000 / written.launches.max(1)))
}
