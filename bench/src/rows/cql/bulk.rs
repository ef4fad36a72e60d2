//! NDJSON bulk until it can be read, beside the same bulk over the embedded store; and what it costs in rows.

use super::{launches, post, warm_up};
use crate::{
    arguments::Run,
    deployment::{Deployment, Written},
    figures::rate,
    launches::{ACCOUNTS, Launches},
    pipeline::Pipeline,
    report::{Figure, Goal, Reference, grouped},
};

const SERIES: u64 = 10;
const WARM_UP: u64 = 12;
const FEW_ACCOUNTS: u64 = 100;

pub fn over_many_accounts(run: &Run) -> anyhow::Result<Vec<Figure>> {
    figures(run, ACCOUNTS, 60_000)
}

/// Deeper windows: more launches of an account in each commit, and so fewer rows a launch.
pub fn over_few_accounts(run: &Run) -> anyhow::Result<Vec<Figure>> {
    figures(run, FEW_ACCOUNTS, 200_000)
}

fn figures(run: &Run, accounts: u64, least: u64) -> anyhow::Result<Vec<Figure>> {
    let (count, launches) = (launches(run), Launches::new(run.seed, SERIES).over(accounts));
    let mut deployment = Deployment::start(&run.saldo, run.partitions())?;
    deployment.join(&["one"])?;
    warm_up(run, &deployment, WARM_UP)?;
    let before = deployment.written()?;
    let posted = post::bulk(&deployment.edges, launches, count)?;
    let written = deployment.written()?.since(&before);
    drop(deployment);
    let accounts = grouped(accounts);
    let notes = format!(
        "{count} launches, {} connections; accepted after {} ms, readable after {} ms",
        post::CONNECTIONS,
        posted.accepted.as_millis(),
        posted.readable.as_millis()
    );
    let readable = Figure {
        name: format!("CQL store: NDJSON bulk until the last launch is in a readable day, {accounts} accounts"),
        unit: "launches/s",
        saldo: rate(count, posted.readable),
        reference: Some(Reference {
            name: "the same over the embedded store".to_owned(),
            figure: embedded(run, launches, count)?,
        }),
        goal: Some(Goal::AtLeast { figure: least, hundredths: 0 }),
        latency: None,
        notes,
    };
    Ok(vec![readable, cost(written, &accounts)])
}

/// The same bulk into `saldo up`.
fn embedded(run: &Run, launches: Launches, count: u64) -> anyhow::Result<u64> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    post::bulk(&pipeline.edges, Launches::new(run.seed, WARM_UP), count / 2)?;
    let posted = post::bulk(&pipeline.edges, launches, count)?;
    pipeline.stop()?;
    Ok(rate(count, posted.readable))
}

fn cost(written: Written, accounts: &str) -> Figure {
    let launches = written.launches.max(1);
    let Written { commits, rows, batches, chunks, names, .. } = written;
    Figure {
        name: format!("CQL store: cost of that bulk, {accounts} accounts"),
        unit: "rows a thousand launches",
        saldo: written.all_rows() * 1_000 / launches,
        reference: None,
        goal: None,
        latency: None,
        notes: format!(
            "in {} requests a thousand launches; {} launches in {commits} commits: {rows} balance and roll-up rows in \
             {batches} batches with as many static rows, {chunks} journal chunks, {names} names",
            written.requests() * 1_000 / launches,
            written.launches
        ),
    }
}
