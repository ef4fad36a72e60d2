//! The log in three copies: a cluster of three nats-servers, one ingest, and nothing behind.

use super::{bulk, post};
use crate::{
    arguments::Run,
    deployment::IngestOverCluster,
    figures::rate,
    launches::Launches,
    load::{Closed, closed, in_own_thread},
    report::{Figure, Goal, Reference},
};

const SERIES: u64 = 40;
const WARM_UP: u64 = 41;
/// Connections, and nine tenths of what a bare prototype took: HTTP in, the log at three copies, nothing else.
const STRETCHES: [(u16, u64); 2] = [(64, 9_900), (256, 27_000)];
/// Nine tenths of what the log took packed and bare when the design was made.
const PACKED: u64 = 520_000;

/// Bulk, beside the same bytes published without us.
pub fn packed(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let count = run.bulk_launches();
    let cluster = IngestOverCluster::start(&run.saldo, run.partitions())?;
    post::accept(cluster.ingest, Launches::new(run.seed, WARM_UP), count / 10)?;
    let accepted = post::accept(cluster.ingest, Launches::new(run.seed, SERIES), count)?;
    drop(cluster);
    let cluster = IngestOverCluster::start(&run.saldo, run.partitions())?;
    let messages = bulk::messages(Launches::new(run.seed, SERIES), count);
    let bare = bulk::publish(&cluster.nats.urls(), run.partitions(), &messages)?;
    Ok(vec![Figure {
        name: "log in three copies: NDJSON bulk accepted".to_owned(),
        unit: "launches/s",
        saldo: rate(count, accepted.taken),
        reference: Some(Reference {
            name: format!("the same bytes published bare, {} launches a message", bulk::LINES_A_MESSAGE),
            figure: rate(count, bare),
        }),
        goal: Some(Goal::AtLeast { figure: PACKED, hundredths: 0 }),
        latency: None,
        notes: format!(
            "{count} launches, {} connections; three nats-servers and ingest on the same cores",
            post::CONNECTIONS
        ),
    }])
}

/// Single launches by HTTP.
pub fn singles(run: &Run) -> anyhow::Result<Vec<Figure>> {
    STRETCHES.iter().map(|(connections, least)| single(run, *connections, *least)).collect()
}

fn single(run: &Run, connections: u16, least: u64) -> anyhow::Result<Figure> {
    let cluster = IngestOverCluster::start(&run.saldo, run.partitions())?;
    let (warm_up, stretch) = (run.warm_up(), run.stretch());
    let load = Closed { address: cluster.ingest, connections, warm_up, stretch, status: 201 };
    let launches = Launches::new(run.seed, SERIES + u64::from(connections % 50));
    let taken = in_own_thread(closed(load, move |number, request| launches.write_post(number, request)))?;
    Ok(Figure {
        name: format!("log in three copies: single launches by HTTP, {connections} connections"),
        unit: "launches/s",
        saldo: taken.per_second,
        reference: None,
        goal: Some(Goal::AtLeast { figure: least, hundredths: 0 }),
        latency: None,
        notes: format!(
            "closed load; each acknowledged when two of three servers have it on disk; median answer after {} µs",
            taken.answer_time.map_or(0, |time| time.p50_us)
        ),
    })
}
