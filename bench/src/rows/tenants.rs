//! Tenants beside each other: how long callers of one tenant wait while another floods and drips, beside how long they wait
//! while it posts politely over as many connections.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    arguments::Run,
    figures::Latency,
    http::Connection,
    launches::Launches,
    load::{Closed, closed, in_own_thread},
    pipeline::Pipeline,
    report::{Figure, Goal, Reference},
};

const SERIES: u64 = 8;
const NEIGHBOURS_SERIES: u64 = 9;
/// Of the tenant that is measured: single launches.
const CONNECTIONS: u16 = 8;
/// Of the other tenant.
const NEIGHBOURS: u64 = 64;
const NEIGHBOUR: &str = "neighbour";
/// Launches of a bulk of the flood, and elements of an array of rubbish.
const BULK: u64 = 1_000;
const RUBBISH: usize = 250_000;

/// What the other tenant does on one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Singles,
    Bulks,
    Rubbish,
    Drips,
}

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let beside_polite = measure(run, |_| Kind::Singles)?;
    let kinds = [Kind::Singles, Kind::Bulks, Kind::Rubbish, Kind::Drips];
    let beside_flood = measure(run, move |number| kinds[usize::try_from(number % 4).unwrap_or(0)])?;
    let name = format!("beside {NEIGHBOURS} connections that post single launches");
    Ok(vec![Figure {
        name: "p99 of single launches beside a tenant that floods and drips".to_owned(),
        unit: "µs",
        saldo: beside_flood.p99_us,
        reference: Some(Reference { name, figure: beside_polite.p99_us }),
        goal: Some(Goal::AtMostHundredthsOfReference(300)),
        latency: Some(beside_flood),
        notes: format!(
            "closed load over {CONNECTIONS} connections; of the other tenant's {NEIGHBOURS} a quarter each posts single launches, \
             bulks of {BULK}, arrays of {RUBBISH} elements that are no launches, and NDJSON that drips"
        ),
    }])
}

fn measure(run: &Run, kind_of: impl Fn(u64) -> Kind + Send + 'static) -> anyhow::Result<Latency> {
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    let address = pipeline.edges.ingest;
    let launches = Launches::new(run.seed, NEIGHBOURS_SERIES);
    let (stop, stopped) = oneshot::channel::<()>();
    // A thread of its own: what the neighbour's clients cost is not to be seen in the answer times.
    let neighbour = thread::spawn(move || {
        in_own_thread(async move {
            let next = Arc::<AtomicU64>::default();
            let mut all = JoinSet::new();
            for number in 0..NEIGHBOURS {
                all.spawn(again_and_again(address, kind_of(number), launches, Arc::clone(&next)));
            }
            drop(stopped.await);
            anyhow::Ok(())
        })
    });
    let load =
        Closed { address, connections: CONNECTIONS, warm_up: run.warm_up(), stretch: run.stretch(), status: 201 };
    let launches = Launches::new(run.seed, SERIES);
    let measured = in_own_thread(closed(load, move |number, request| launches.write_post(number, request)));
    drop(stop);
    neighbour.join().map_err(|_| anyhow::anyhow!("the neighbour broke down"))??;
    pipeline.stop()?;
    measured?.answer_time.context("nothing measured")
}

/// Whatever it is told, it goes on, over another connection if it must.
async fn again_and_again(address: SocketAddr, kind: Kind, launches: Launches, next: Arc<AtomicU64>) {
    loop {
        drop(until_refused(address, kind, launches, &next).await);
        sleep(Duration::from_millis(10)).await;
    }
}

async fn until_refused(address: SocketAddr, kind: Kind, launches: Launches, next: &AtomicU64) -> anyhow::Result<()> {
    if kind == Kind::Drips {
        return drip(address, &launches.lines(std::iter::once(next.fetch_add(1, Relaxed)))).await;
    }
    let mut connection = Connection::open(address).await?;
    loop {
        let (media_type, body) = body(kind, launches, next);
        let request = [head(media_type, body.len())?, body].concat();
        let status = connection.exchange(&request).await?.status;
        anyhow::ensure!(status < 400, "status {status}");
    }
}

fn body(kind: Kind, launches: Launches, next: &AtomicU64) -> (&'static str, Vec<u8>) {
    let count = if kind == Kind::Bulks { BULK } else { 1 };
    match kind {
        Kind::Rubbish => ("application/json", format!("[{}1]", "1,".repeat(RUBBISH - 1)).into_bytes()),
        Kind::Singles | Kind::Bulks | Kind::Drips => {
            let first = next.fetch_add(count, Relaxed);
            let media_type = if count == 1 { "application/json" } else { "application/x-ndjson" };
            (media_type, launches.lines(first..first + count))
        }
    }
}

fn head(media_type: &str, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut head = Vec::new();
    write!(
        head,
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {NEIGHBOUR}\r\nContent-Type: {media_type}\r\n\
         Content-Length: {length}\r\n\r\n"
    )?;
    Ok(head)
}

/// Begins a bulk, and sends a byte now and then, until it is answered.
async fn drip(address: SocketAddr, line: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[&head("application/x-ndjson", 1_000_000)?, line].concat()).await?;
    while timeout(Duration::from_millis(500), stream.readable()).await.is_err() {
        stream.write_all(b"\n").await?;
    }
    Ok(())
}
