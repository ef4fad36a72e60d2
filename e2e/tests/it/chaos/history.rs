//! The log as it stands at the end, read back by the `nats` CLI, and what it folds to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::book::{Key, key};
use crate::{
    client::TENANT,
    log::LogAt,
    model::{Launch, Model, minor_units},
};

/// What one message of the log adds to an account: at least one launch.
#[derive(Clone, Debug)]
pub struct Addition {
    pub sequence: u64,
    pub launches: Vec<Launch>,
}

/// An account's launches that count, message by message.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub partition: u16,
    pub additions: Vec<Addition>,
}

/// The whole log.
#[derive(Debug, Default)]
pub struct History {
    pub accounts: BTreeMap<String, Account>,
    /// Every content that stands on the log, counted or not, with the sequences of its messages.
    pub standing: BTreeMap<Key, Vec<(Launch, BTreeSet<u64>)>>,
    /// What counts.
    pub model: Model,
}

impl History {
    /// Reads all lanes. Lines that are no launch of the test's tenant are left out.
    pub fn read(log: &LogAt) -> anyhow::Result<Self> {
        let text = log.read()?;
        let mut history = Self::default();
        let (mut sequence, mut partition) = (0, 0);
        for line in text.lines() {
            if line.starts_with("[#") {
                (sequence, partition) = place(line)?;
            } else if let Some(launch) = launch(line) {
                history.add(partition, sequence, launch);
            }
        }
        Ok(history)
    }

    fn add(&mut self, partition: u16, sequence: u64, launch: Launch) {
        let contents = self.standing.entry(key(&launch)).or_default();
        let is_new = contents.is_empty();
        match contents.iter_mut().find(|(known, _)| *known == launch) {
            Some((_, sequences)) => drop(sequences.insert(sequence)),
            None => contents.push((launch.clone(), BTreeSet::from([sequence]))),
        }
        if !is_new {
            return;
        }
        self.model.add(&launch);
        let account = self.accounts.entry(launch.account.clone()).or_default();
        account.partition = partition;
        match account.additions.last_mut().filter(|last| last.sequence == sequence) {
            Some(last) => last.launches.push(launch),
            None => account.additions.push(Addition { sequence, launches: vec![launch] }),
        }
    }
}

/// Stream sequence and partition out of the line that the CLI prints before a message.
fn place(line: &str) -> anyhow::Result<(u64, u16)> {
    let field = |name: &str| line.split(" / ").find_map(|part| part.split_once(name)).map(|(_, value)| value.trim());
    // The CLI writes thousands apart: `seq: 1,476`.
    let sequence = field("seq:").with_context(|| format!("no sequence in {line:?}"))?.replace(',', "").parse()?;
    let subject = field("subject:").with_context(|| format!("no subject in {line:?}"))?;
    let partition = subject.strip_prefix("launches.").with_context(|| format!("no lane in {line:?}"))?.parse()?;
    ensure!(sequence > 0, "{line:?}");
    Ok((sequence, partition))
}

fn launch(line: &str) -> Option<Launch> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| value[field].as_str();
    if text("tenant") != Some(TENANT) || value.get("type").is_some_and(|kind| kind != "launch") {
        return None;
    }
    let currency = ["BRL", "JPY", "KWD"].into_iter().find(|known| text("currency") == Some(known))?;
    Some(Launch {
        account: text("account")?.to_owned(),
        date: text("date")?.to_owned(),
        id: text("id")?.to_owned(),
        credit: text("kind")? == "credit",
        currency,
        minor_units: minor_units(text("amount")?, currency)?,
    })
}
