//! SIGTERM under load: what was acknowledged counts, and no request is cut without an answer.

use std::{io, sync::Arc, time::Instant};

use anyhow::{Context, bail, ensure};
use protocol::position::Position;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
};

use super::{book::Book, kills::some_moment, load::Load, report::Report, stage::Stage};
use crate::{
    client::TENANT,
    model::{Launch, random_launch},
};

/// How often the pipeline is stopped in one round.
const STOPS: u64 = 2;
/// Callers that use one connection for all their requests, and those that make one for each.
const LASTING: u64 = 6;
const ONE_SHOT: u64 = 4;

/// SIGTERM at a random moment; every caller is answered, or refused before it could send anything.
pub async fn saldo(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await?;
    let load = Load::start(&stage, seed)?;
    let mut report = Report::default();
    for stop in 0..STOPS {
        let callers = start_callers(&stage, &load, seed.wrapping_mul(STOPS).wrapping_add(stop))?;
        some_moment(&mut random, 1_500).await;
        let stopped_at = Instant::now();
        stage.stop().await?;
        report.took("until the end after SIGTERM", stopped_at.elapsed());
        for caller in callers {
            let answered = caller.await??;
            ensure!(answered > 0, "a caller that was never answered shows nothing");
        }
        stage.start().await?;
        stage.wait_until_well(stopped_at, &mut report).await?;
    }
    report.add(load.finish(&mut stage).await?);
    Ok(report)
}

fn start_callers(stage: &Stage, load: &Load, seed: u64) -> anyhow::Result<Vec<JoinHandle<anyhow::Result<u64>>>> {
    let address = stage.pipeline()?.ingest.trim_start_matches("http://").to_owned();
    let caller = |number: u64| {
        let caller = Caller {
            address: address.clone(),
            book: Arc::clone(&load.book),
            prefix: format!("stop-{seed}-{number}"),
            keeps: number < LASTING,
        };
        tokio::spawn(caller.post_until_refused(seed.wrapping_mul(100).wrapping_add(number)))
    };
    Ok((0..LASTING + ONE_SHOT).map(caller).collect())
}

/// A caller over a bare socket: an HTTP client would repeat by itself, and hide what is to be seen.
struct Caller {
    address: String,
    book: Arc<Book>,
    prefix: String,
    keeps: bool,
}

impl Caller {
    /// Posts until no connection is to be had any more; the number of answers.
    async fn post_until_refused(self, seed: u64) -> anyhow::Result<u64> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut connection = None;
        for number in 0.. {
            let open = match connection.take() {
                Some(open) => open,
                None => match TcpStream::connect(&self.address).await {
                    Ok(stream) => BufReader::new(stream),
                    // Reset before anything could be sent: it came in the moment in which the listener closed.
                    Err(error) if is_refusal(&error) => return Ok(number),
                    Err(error) => return Err(error).context("neither refused nor connected"),
                },
            };
            let mut launch = random_launch(&mut random, super::load::ACCOUNTS, usize::try_from(number)?);
            launch.id = format!("{}-{}", self.prefix, launch.id);
            connection =
                self.post(open, &launch).await.with_context(|| format!("{} after {number} answers", self.prefix))?;
        }
        bail!("there are more launches than numbers")
    }

    /// Posts one launch; gives the connection back if it may be used again.
    async fn post(
        &self,
        mut connection: BufReader<TcpStream>,
        launch: &Launch,
    ) -> anyhow::Result<Option<BufReader<TcpStream>>> {
        self.book.note_posted(launch);
        let sent_at = Instant::now();
        let body = launch.json().to_string();
        let keep = if self.keeps { "keep-alive" } else { "close" };
        let head = format!(
            "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\nContent-Type: application/json\r\n\
             Connection: {keep}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.get_mut().write_all(format!("{head}{body}").as_bytes()).await.context("cut while sending")?;
        let answer = RawAnswer::read(&mut connection).await.context("cut without an answer")?;
        let kind = if answer.status == 503 { " while stopping" } else { "" };
        self.book.report().saw(format!("POST (bare socket) {}{kind}", answer.status), sent_at.elapsed());
        match answer.status {
            200 | 201 => self.book.note_acknowledged(launch, &answer.position()?),
            status => ensure!(status == 503, "unexpected: {answer:?}"),
        }
        Ok((self.keeps && !answer.closes).then_some(connection))
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

#[derive(Debug)]
struct RawAnswer {
    status: u16,
    closes: bool,
    body: Value,
}

impl RawAnswer {
    async fn read(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Self> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(connection.read_line(&mut line).await? > 0, "the connection ended");
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
        let length = header("content-length: ").context("an answer has a length")?.parse()?;
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.context("the answer is cut")?;
        let status = head.first().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        Ok(Self { status, closes: header("connection: ") == Some("close"), body: serde_json::from_slice(&body)? })
    }

    fn position(&self) -> anyhow::Result<Position> {
        Ok(self.body["position"].as_str().with_context(|| format!("no position in {self:?}"))?.parse()?)
    }
}
