//! A caller that posts, and writes down what it was told.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use protocol::position::Position;
use tokio::time::sleep;

use super::book::Book;
use crate::{
    client::{Answer, Client},
    model::Launch,
};

/// How long a client repeats. Of two contents under one id the other waits for as long as the outcome of the first is not
/// known and nobody repeats that: two minutes (`SALDO_INGEST_UNKNOWN_TTL_MS`) after it was given up.
const REPEATS_FOR: Duration = Duration::from_secs(300);
/// Pause of a client before it repeats what was not acknowledged.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// What a client does with a launch that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Posts the same again until it is acknowledged.
    Repeating,
    /// Forgets it.
    Hasty,
}

/// A posting caller.
#[derive(Clone)]
pub struct Poster {
    pub client: Client,
    pub book: Arc<Book>,
    pub way: Way,
}

impl Poster {
    /// Posts one launch as an object.
    pub async fn post(&self, launch: &Launch) -> anyhow::Result<()> {
        self.settle(std::slice::from_ref(launch), || self.client.post(launch)).await
    }

    /// Posts launches as NDJSON.
    pub async fn post_ndjson(&self, launches: &[Launch]) -> anyhow::Result<()> {
        self.settle(launches, || self.client.post_ndjson(launches)).await
    }

    /// Posts launches as an array.
    pub async fn post_array(&self, launches: &[Launch]) -> anyhow::Result<()> {
        self.settle(launches, || self.client.post_array(launches)).await
    }

    async fn settle<F>(&self, launches: &[Launch], mut post: impl FnMut() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<Answer>>,
    {
        launches.iter().for_each(|launch| self.book.note_posted(launch));
        let deadline = Instant::now() + REPEATS_FOR;
        loop {
            let (answer, is_settled) = self.attempt(launches, post()).await?;
            if is_settled || self.way == Way::Hasty {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not acknowledged: {answer:?}");
            sleep(REPEAT_AFTER).await;
        }
    }

    /// Posts one launch once, and gives what the caller was told.
    pub async fn post_once(&self, launch: &Launch) -> anyhow::Result<Answer> {
        self.book.note_posted(launch);
        self.attempt(std::slice::from_ref(launch), self.client.post(launch)).await?.0
    }

    async fn attempt(
        &self,
        launches: &[Launch],
        post: impl Future<Output = anyhow::Result<Answer>>,
    ) -> anyhow::Result<(anyhow::Result<Answer>, bool)> {
        let sent_at = Instant::now();
        let answer = post.await;
        self.book.report().saw(label("POST", &answer), sent_at.elapsed());
        let is_settled = match &answer {
            Ok(answer) => self.take(launches, answer)?,
            Err(_) => false,
        };
        Ok((answer, is_settled))
    }

    /// Writes down what an answer acknowledges; whether it leaves nothing open.
    fn take(&self, launches: &[Launch], answer: &Answer) -> anyhow::Result<bool> {
        let is_bulk = answer.body.get("accepted").is_some();
        match answer.status {
            200 | 201 if !is_bulk => self.acknowledge(launches.iter(), answer)?,
            200 => self.acknowledge(accepted(launches, answer)?.into_iter(), answer)?,
            409 => {}
            503 if is_bulk => {
                let settled = answer.body["first_uncertain_line"].as_u64().context("a bulk's 503 names a line")?;
                let settled = usize::try_from(settled)?.saturating_sub(1);
                self.acknowledge(accepted(&launches[..settled], answer)?.into_iter(), answer)?;
                return Ok(false);
            }
            503 => return Ok(false),
            _ => bail!("unexpected: {answer:?}"),
        }
        Ok(true)
    }

    fn acknowledge<'a>(&self, launches: impl Iterator<Item = &'a Launch>, answer: &Answer) -> anyhow::Result<()> {
        let mut launches = launches.peekable();
        if launches.peek().is_none() {
            return Ok(());
        }
        let position: Position =
            answer.body["position"].as_str().with_context(|| format!("no position in {answer:?}"))?.parse()?;
        launches.for_each(|launch| self.book.note_acknowledged(launch, &position));
        Ok(())
    }
}

/// The launches of a bulk that its answer does not name as wrong; nothing but conflicts may be wrong.
fn accepted<'a>(launches: &'a [Launch], answer: &Answer) -> anyhow::Result<Vec<&'a Launch>> {
    let errors = answer.body["errors"].as_array().with_context(|| format!("a bulk lists errors: {answer:?}"))?;
    ensure!(answer.body["errors_truncated"] != true, "{answer:?}");
    let mut wrong = BTreeSet::new();
    for error in errors {
        ensure!(error["type"] == "conflict" || error["type"] == "id_pending", "unexpected: {answer:?}");
        wrong.insert(error["line"].as_u64().context("an error names its line")?);
    }
    let numbered = (1_u64..).zip(launches);
    Ok(numbered.filter(|(line, _)| !wrong.contains(line)).map(|(_, launch)| launch).collect())
}

/// What a caller saw, in few words: method, status and problem, or what became of the connection.
pub fn label(method: &str, answer: &anyhow::Result<Answer>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return format!("{method} {}", broken(error)),
    };
    let problem = answer.body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:saldo:problem:"));
    problem.map_or_else(
        || format!("{method} {}", answer.status),
        |problem| format!("{method} {} {problem}", answer.status),
    )
}

fn broken(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => "connection refused",
        Some(error) if error.is_timeout() => "no answer",
        _ => "connection broken",
    }
}
