//! Clients that are slow, break off, send half of something or nothing at all, and connections by the thousand.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    is_long,
    load::Load,
    outage,
    report::Report,
    stage::{PATIENCE, Stage},
};
use crate::{
    client::TENANT,
    metrics::wait_until_ready,
    model::{Launch, random_launches},
};

/// Connections that are made and used for nothing, in `cargo xtask test` and in `cargo xtask chaos`.
const IDLE: (usize, usize) = (2_000, 10_000);
/// Connections from one source address: far below the ports that a system has for one.
const IDLE_A_SOURCE: usize = 1_000;
/// Connections begun at once: as many as a backlog surely takes.
const CONNECTING: usize = 64;
/// Clients of each bad kind, at once.
const OF_A_KIND: usize = 8;
/// What a connection may cost, and what the load may cost besides.
const KIBIBYTES_A_CONNECTION: usize = 48;
const KIBIBYTES_BESIDES: usize = 384 * 1024;
/// No caller that behaves waits longer for an answer: far above what is usual, far below what a caller gives up after.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Ten thousand connections that send nothing: others are answered, and memory is bounded.
pub async fn idle(seed: u64) -> anyhow::Result<Report> {
    let count = if is_long() { IDLE.1 } else { IDLE.0 };
    testkit::allow_open_files(count + 1_000)?;
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let process = stage.pipeline()?.id();
    let before = resident_kibibytes(process)?;
    let targets = [port(&stage.pipeline()?.ingest)?, port(&stage.pipeline()?.query)?];
    let mut idle = Vec::with_capacity(count);
    for batch in 0..count.div_ceil(CONNECTING) {
        let first = batch * CONNECTING;
        let numbers = first..(first + CONNECTING).min(count);
        let connecting: JoinSet<_> = numbers.map(|number| connect_from(number, targets[number % 2])).collect();
        for connected in connecting.join_all().await {
            idle.push(connected?);
        }
    }
    sleep(outage(Duration::from_secs(2), Duration::from_secs(20))).await;
    let grown = resident_kibibytes(process)?.saturating_sub(before);
    let bound = count * KIBIBYTES_A_CONNECTION + KIBIBYTES_BESIDES;
    ensure!(grown < bound, "{count} idle connections and the load took {grown} KiB, more than {bound}");
    ready(&stage).await?;
    drop(idle);
    others_were_answered(load, &mut stage).await
}

/// Clients of every bad kind at once, again and again.
pub async fn broken(seed: u64) -> anyhow::Result<Report> {
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let (ingest, query) = (port(&stage.pipeline()?.ingest)?, port(&stage.pipeline()?.query)?);
    let rounds = if is_long() { 8 } else { 2 };
    for round in 0..rounds {
        let mut bad = JoinSet::new();
        for number in 0..OF_A_KIND as u64 {
            let seed = seed.wrapping_mul(1_000).wrapping_add(round * 100 + number);
            let launches = half_sent(seed);
            launches.iter().for_each(|launch| load.book.note_posted(launch));
            bad.spawn(says(ingest, half_a_head()));
            bad.spawn(says(query, garbage(seed)));
            bad.spawn(says(ingest, broken_chunks()));
            bad.spawn(says(ingest, too_long_a_head()));
            bad.spawn(breaks_off(ingest, body_that_breaks_off(&launches)));
            bad.spawn(drips(ingest, body_that_breaks_off(&launches[..1])));
            bad.spawn(never_reads(query));
        }
        while let Some(ended) = bad.join_next().await {
            // What a bad client is told, or whether it is cut off, is not what this is about.
            drop(ended?);
        }
        ready(&stage).await?;
    }
    others_were_answered(load, &mut stage).await
}

async fn ready(stage: &Stage) -> anyhow::Result<()> {
    for service in [&stage.pipeline()?.ingest, &stage.pipeline()?.query, &stage.pipeline()?.aggregator] {
        wait_until_ready(service).await?;
    }
    Ok(())
}

/// Nobody who behaved was cut off, refused, or kept waiting.
async fn others_were_answered(load: Load, stage: &mut Stage) -> anyhow::Result<Report> {
    let report = load.finish(stage).await?;
    for bad in ["connection", "no answer", "503"] {
        ensure!(!report.has_seen(bad), "others saw {bad}: {report:?}");
    }
    ensure!(report.longest_wait() < LONGEST_WAIT, "others waited too long: {report:?}");
    Ok(report)
}

/// The system gives each source address ports of its own.
async fn connect_from(number: usize, to: u16) -> anyhow::Result<TcpStream> {
    let host = u8::try_from(2 + number / IDLE_A_SOURCE)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)))?;
    let connecting = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to)));
    timeout(PATIENCE, connecting).await.context("the backlog is full for ever")?.context("cannot connect")
}

pub fn port(base: &str) -> anyhow::Result<u16> {
    base.rsplit(':').next().and_then(|text| text.parse().ok()).with_context(|| format!("no port in {base}"))
}

fn half_sent(seed: u64) -> Vec<Launch> {
    let mut launches = random_launches(seed, 2, 40);
    launches.iter_mut().for_each(|launch| launch.id = format!("half-{seed}-{}", launch.id));
    launches
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

fn half_a_head() -> Vec<u8> {
    head(10).as_bytes()[..60].to_vec()
}

fn garbage(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..random.random_range(1..4_000)).map(|_| random.random()).collect()
}

fn broken_chunks() -> Vec<u8> {
    let head = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    format!("{head}5\r\n{{\"id\"\r\nnonsense\r\n").into_bytes()
}

fn too_long_a_head() -> Vec<u8> {
    head(0).replace("Host: localhost", &format!("Host: localhost\r\nX-Long: {}", "x".repeat(100_000))).into_bytes()
}

/// Good lines, and half of one more; the head promises ten times as much.
fn body_that_breaks_off(launches: &[Launch]) -> Vec<u8> {
    let lines: String = launches.iter().map(|launch| format!("{}\n", launch.json())).collect();
    format!("{}{lines}{{\"id\":\"half", head(lines.len() * 10)).into_bytes()
}

/// Sends, and waits for what comes or for being cut off.
async fn says(port: u16, bytes: Vec<u8>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&bytes).await?;
    let mut answer = [0; 1024];
    // A while: others must not mind.
    drop(timeout(outage(Duration::from_secs(1), Duration::from_secs(12)), stream.read(&mut answer)).await);
    Ok(())
}

/// Sends, and goes without a farewell: the connection is reset.
async fn breaks_off(port: u16, bytes: Vec<u8>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_zero_linger()?;
    stream.write_all(&bytes).await?;
    Ok(())
}

/// Sends a byte now and then.
async fn drips(port: u16, bytes: Vec<u8>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let head = bytes.iter().position(|byte| *byte == b'{').unwrap_or(0);
    stream.write_all(&bytes[..head]).await?;
    for byte in bytes[head..].iter().take(if is_long() { 200 } else { 40 }) {
        stream.write_all(&[*byte]).await?;
        sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}

/// Asks and asks, and never takes an answer, until no question goes out any more.
async fn never_reads(port: u16) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let path = "/v1/accounts/store-0/days?from=2026-08-01&to=2026-11-30&limit=366";
    let question = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\n\r\n").repeat(50);
    loop {
        let asked = timeout(Duration::from_secs(1), stream.write_all(question.as_bytes())).await;
        if !matches!(asked, Ok(Ok(()))) {
            return Ok(());
        }
    }
}

fn resident_kibibytes(process: u32) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("this test needs Linux's /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the process has no memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
