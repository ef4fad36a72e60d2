//! Cached day reads, ETag on, beside an axum server that sends the same bytes and does nothing else.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use testkit::ChildProcess;

use super::post;
use crate::{
    arguments::Run,
    http::Connection,
    launches::{ACCOUNTS, Launches, account_of, write_get},
    load::{Closed, closed, in_own_thread},
    pipeline::Pipeline,
    report::{Figure, Goal, Reference},
    static_server::LISTENS,
};

const CONNECTIONS: u16 = 64;
const SERIES: u64 = 4;
/// How often both are measured in turn: the better of each counts, for what disturbs a stretch only slows it.
const TURNS: usize = 2;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    post::bulk(&pipeline.edges, Launches::new(run.seed, SERIES), ACCOUNTS)?;
    let answer = in_own_thread(warm(pipeline.edges.query))?;
    let (reference, address) = static_server(&answer)?;
    let (mut saldo, mut bare) = (0, 0);
    for _ in 0..TURNS {
        saldo = saldo.max(read(run, pipeline.edges.query)?);
        bare = bare.max(read(run, address)?);
    }
    drop(reference);
    pipeline.stop()?;
    Ok(vec![Figure {
        name: format!("cached day reads, ETag on, {CONNECTIONS} connections"),
        unit: "reads/s",
        saldo,
        reference: Some(Reference { name: "axum with the same bytes, static".to_owned(), figure: bare }),
        goal: Some(Goal::HundredthsOfReference(85)),
        latency: None,
        notes: format!("closed load; {} bytes an answer with its head; 10,000 accounts in turn", answer.len()),
    }])
}

/// Reads every account's day once and gives one answer as it came.
async fn warm(query: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let mut connection = Connection::open(query).await?;
    let (mut request, mut last) = (Vec::new(), Vec::new());
    for account in 0..ACCOUNTS {
        write_get(account, None, &mut request);
        let answer = connection.exchange(&request).await?;
        ensure!(answer.status == 200, "status {}", answer.status);
        last = answer.whole.to_vec();
    }
    Ok(last)
}

fn read(run: &Run, address: SocketAddr) -> anyhow::Result<u64> {
    let stretch = run.stretch() / u32::try_from(TURNS)?;
    let warm_up = Duration::from_secs(1);
    let load = Closed { address, connections: CONNECTIONS, warm_up, stretch, status: 200 };
    let read = in_own_thread(closed(load, |number, request| write_get(account_of(number), None, request)))?;
    Ok(read.per_second)
}

/// The reference in a process of its own, as Saldo is.
fn static_server(answer: &[u8]) -> anyhow::Result<(ChildProcess, SocketAddr)> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), answer)?;
    let mut server = ChildProcess::spawn(command(file.path())?)?;
    let line = server.wait_for_line(LISTENS, Duration::from_secs(10))?;
    let address = line.trim_start_matches(LISTENS).parse().context("the static server tells no address")?;
    Ok((server, address))
}

fn command(answer: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("static-server").arg("--answer").arg(answer);
    Ok(command)
}
