//! Launches that show that all is well again.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::{task::JoinSet, time::sleep};

use super::stage::{PATIENCE, PAUSE};
use crate::{
    client::{Answer, Client},
    model::Launch,
};

/// The day of all probes.
const DATE: &str = "2026-11-01";

/// One launch for each of some accounts, again and again.
pub struct Probes {
    accounts: Vec<String>,
    rounds: u64,
}

impl Probes {
    /// Nothing is posted yet.
    pub fn of(accounts: Vec<String>) -> Self {
        Self { accounts, rounds: 0 }
    }

    /// Posts a launch for each account until it is acknowledged, and reads it back from every query; returns how long after
    /// `since` that was.
    pub async fn pass(&mut self, clients: &[Client], since: Instant) -> anyhow::Result<Duration> {
        self.rounds += 1;
        let mut tasks = JoinSet::new();
        for account in &self.accounts {
            tasks.spawn(pass(clients.to_vec(), account.clone(), self.rounds));
        }
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        Ok(since.elapsed())
    }

    /// The accounts, each with so many launches as [`Probes::rounds`] says.
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// How often they were posted.
    pub fn rounds(&self) -> usize {
        usize::try_from(self.rounds).unwrap_or(usize::MAX)
    }

    /// All of them.
    pub fn launches(&self) -> impl Iterator<Item = Launch> {
        self.accounts.iter().flat_map(|account| (1..=self.rounds).map(|number| probe(account, number)))
    }
}

async fn pass(clients: Vec<Client>, account: String, round: u64) -> anyhow::Result<()> {
    let launch = probe(&account, round);
    let [first, ..] = clients.as_slice() else { bail!("there is no query") };
    let is_acknowledged = |answer: &Answer| matches!(answer.status, 200 | 201);
    let position = until(is_acknowledged, || first.post(&launch)).await?.body["position"].clone();
    for client in &clients {
        let path = format!("/v1/accounts/{account}/days/{DATE}");
        let answer = until(|answer| answer.status == 200, || client.get(&path, position.as_str())).await?;
        ensure!(answer.body["currencies"][0]["credit_count"] == round, "{answer:?}");
    }
    Ok(())
}

/// Asks until the answer is good.
async fn until<F>(is_good: impl Fn(&Answer) -> bool, mut ask: impl FnMut() -> F) -> anyhow::Result<Answer>
where
    F: Future<Output = anyhow::Result<Answer>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) if is_good(&answer) => return Ok(answer),
            other => ensure!(Instant::now() < deadline, "not well again: {other:?}"),
        }
        sleep(PAUSE).await;
    }
}

fn probe(account: &str, number: u64) -> Launch {
    Launch {
        account: account.to_owned(),
        date: DATE.to_owned(),
        id: format!("probe-{number}"),
        credit: true,
        currency: "BRL",
        minor_units: 1,
    }
}
