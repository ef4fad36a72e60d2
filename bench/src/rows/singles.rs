//! Single launches by HTTP, each acknowledged on disk, beside PostgreSQL with as many clients.

use std::{path::Path, time::Duration};

use anyhow::Context;

use crate::{
    arguments::Run,
    launches::Launches,
    load::{Closed, Throughput, closed, in_own_thread},
    pipeline::Pipeline,
    postgres::{Postgres, transactions_per_second},
    report::{Figure, Goal, Reference},
};

/// Connections, and what is wanted with them: launches a second here, and hundredths of PostgreSQL.
const STRETCHES: [(u16, u64, u64); 2] = [(64, 25_000, 170), (256, 40_000, 250)];

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let programs = run.postgres.as_deref().context("name the folder of PostgreSQL's programs with --postgres")?;
    STRETCHES.iter().map(|stretch| figure(run, programs, *stretch)).collect()
}

/// What PostgreSQL gets before it is measured, and at least in the measurement: starting 256 processes takes seconds on busy
/// cores, and `pgbench` counts it into its time (not into its rate).
const AT_LEAST: Duration = Duration::from_secs(6);

/// One number of connections: a fresh server each, one after the other.
fn figure(run: &Run, programs: &Path, stretch: (u16, u64, u64)) -> anyhow::Result<Figure> {
    let (connections, least, hundredths) = stretch;
    let saldo = post(run, connections)?;
    let postgres = Postgres::start(programs)?;
    transactions_per_second(&postgres, connections, run.seed, run.warm_up().max(AT_LEAST))?;
    let reference = transactions_per_second(&postgres, connections, run.seed + 1, run.stretch().max(AT_LEAST))?;
    Ok(Figure {
        name: format!("single launches by HTTP, each acknowledged on disk, {connections} connections"),
        unit: "launches/s",
        saldo: saldo.per_second,
        reference: Some(Reference {
            name: format!("PostgreSQL, insert + upsert in one statement, {connections} clients"),
            figure: reference,
        }),
        goal: Some(Goal::AtLeast { figure: least, hundredths }),
        latency: None,
        notes: format!(
            "closed load; 198 bytes a launch, 10,000 accounts; median answer after {} µs",
            saldo.answer_time.map_or(0, |time| time.p50_us)
        ),
    })
}

fn post(run: &Run, connections: u16) -> anyhow::Result<Throughput> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions)?;
    let (warm_up, stretch) = (run.warm_up(), run.stretch());
    let load = Closed { address: pipeline.ingest, connections, warm_up, stretch, status: 201 };
    let launches = Launches::new(run.seed, u64::from(connections % 100));
    let throughput = in_own_thread(closed(load, move |number, request| launches.write_post(number, request)))?;
    pipeline.stop()?;
    Ok(throughput)
}
