//! A caller that reads, and records every answer.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use protocol::position::Position;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{book::Book, load::ACCOUNTS, poster::label};
use crate::client::{Answer, Client};

/// Enough for some minutes; more would only cost the verdict's time.
const MAX_OBSERVED: usize = 20_000;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Every day that any launch of the load has.
    Range,
    Day(String),
    Balance,
}

impl Resource {
    fn path(&self, account: &str) -> String {
        match self {
            Self::Range => format!("/v1/accounts/{account}/days?from=2026-08-01&to=2026-11-30&limit=366"),
            Self::Day(date) => format!("/v1/accounts/{account}/days/{date}"),
            Self::Balance => format!("/v1/accounts/{account}/balance"),
        }
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Observation {
    pub account: String,
    pub resource: Resource,
    pub asked_at: Instant,
    pub answered_at: Instant,
    /// What was demanded.
    pub demanded: Option<Position>,
    /// Whether that was the position of this reader's last answer about this account.
    pub passed_on: bool,
    /// `None` when the account was unknown.
    pub answer: Option<Told>,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub struct Told {
    pub position: Position,
    pub complete: bool,
    pub body: Value,
}

/// A reading caller.
pub struct Reader {
    client: Client,
    book: Arc<Book>,
    random: StdRng,
    last: BTreeMap<String, Position>,
    pub observed: Vec<Observation>,
}

impl Reader {
    pub fn new(client: Client, book: Arc<Book>, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { client, book, random, last: BTreeMap::new(), observed: Vec::new() }
    }

    /// Reads something of some account, demanding its last position of it, the position of a write, or nothing.
    pub async fn read(&mut self, asked_at: Instant) -> anyhow::Result<()> {
        let account = format!("store-{}", self.random.random_range(0..ACCOUNTS));
        let resource = self.resource();
        let passed_on = self.random.random_bool(0.6) && self.last.contains_key(&account);
        let demanded = if passed_on { self.last.get(&account).cloned() } else { self.written(&account) };
        let text = demanded.as_ref().map(Position::to_string);
        let answer = self.client.get(&resource.path(&account), text.as_deref()).await;
        let method = if demanded.is_some() { "GET demanding" } else { "GET" };
        self.book.report().saw(label(method, &answer), asked_at.elapsed());
        let Ok(answer) = answer else { return Ok(()) };
        let answered_at = Instant::now();
        let answer = match answer.status {
            200 => Some(told(&answer)?),
            404 => None,
            status => {
                ensure!(status == 503, "unexpected: {answer:?}");
                return Ok(());
            }
        };
        if let Some(told) = &answer {
            self.last.insert(account.clone(), told.position.clone());
        }
        if self.observed.len() < MAX_OBSERVED {
            let observation = Observation { account, resource, asked_at, answered_at, demanded, passed_on, answer };
            self.observed.push(observation);
        }
        Ok(())
    }

    fn resource(&mut self) -> Resource {
        match self.random.random_range(0..3_u8) {
            0 => Resource::Balance,
            1 => Resource::Range,
            _ => Resource::Day(format!(
                "2026-{:02}-{:02}",
                self.random.random_range(8..=11),
                self.random.random_range(1..=4)
            )),
        }
    }

    /// Half of the time, the position of a launch of the account that was acknowledged.
    fn written(&mut self, account: &str) -> Option<Position> {
        if self.random.random_bool(0.5) {
            return None;
        }
        self.book.latest(account)
    }
}

fn told(answer: &Answer) -> anyhow::Result<Told> {
    let position = answer.header("saldo-position").parse().with_context(|| format!("no position: {answer:?}"))?;
    let complete = answer.header("saldo-complete") == "true";
    ensure!(answer.body["complete"].as_bool().is_none_or(|told| told == complete), "{answer:?}");
    Ok(Told { position, complete, body: answer.body.clone() })
}
