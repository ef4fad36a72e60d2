//! Single launches by HTTP, each acknowledged on disk, beside PostgreSQL with as many clients.

use std::{path::Path, time::Duration};

use super::post::{self, Posted};
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
    STRETCHES.iter().map(|stretch| figure(run, *stretch)).collect()
}

/// Launches posted last: so many accounts that every lane has one.
const ACCOUNTS_OF_ALL_LANES: u64 = 100;
const LAST_SERIES: u64 = 7;

/// What PostgreSQL gets before it is measured, and at least in the measurement: starting 256 processes takes seconds on busy
/// cores, and `pgbench` counts it into its time (not into its rate).
const AT_LEAST: Duration = Duration::from_secs(6);

/// One number of connections: a fresh server each, one after the other.
fn figure(run: &Run, stretch: (u16, u64, u64)) -> anyhow::Result<Figure> {
    let (connections, least, hundredths) = stretch;
    let (saldo, last) = post(run, connections)?;
    let reference = run.postgres.as_deref().map(|programs| beside(run, programs, connections)).transpose()?;
    Ok(Figure {
        name: format!("single launches by HTTP, each acknowledged on disk, {connections} connections"),
        unit: "launches/s",
        saldo: saldo.per_second,
        reference,
        goal: Some(Goal::AtLeast { figure: least, hundredths }),
        latency: None,
        notes: format!(
            "closed load; 198 bytes a launch, 10,000 accounts; median answer after {} µs; {} launches a message; all \
             readable {} ms after the last answer",
            saldo.answer_time.map_or(0, |time| time.p50_us),
            saldo.requests / last.messages.max(1),
            (last.readable - last.accepted).as_millis()
        ),
    })
}

fn beside(run: &Run, programs: &Path, connections: u16) -> anyhow::Result<Reference> {
    let postgres = Postgres::start(programs)?;
    transactions_per_second(&postgres, connections, run.seed, run.warm_up().max(AT_LEAST))?;
    let figure = transactions_per_second(&postgres, connections, run.seed + 1, run.stretch().max(AT_LEAST))?;
    let name = format!("PostgreSQL, insert + upsert in one statement, {connections} clients");
    Ok(Reference { name, figure })
}

/// What Saldo took, and how long it was behind at the end: reading must not pay for writing without saying so.
fn post(run: &Run, connections: u16) -> anyhow::Result<(Throughput, Posted)> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    let (warm_up, stretch) = (run.warm_up(), run.stretch());
    let load = Closed { address: pipeline.edges.ingest, connections, warm_up, stretch, status: 201 };
    let launches = Launches::new(run.seed, u64::from(connections % 100));
    let throughput = in_own_thread(closed(load, move |number, request| launches.write_post(number, request)))?;
    let last = post::bulk(&pipeline.edges, Launches::new(run.seed, LAST_SERIES), ACCOUNTS_OF_ALL_LANES)?;
    pipeline.stop()?;
    Ok((throughput, last))
}
