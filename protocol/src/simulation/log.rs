//! The simulated log: several ingests append to it, by hand anything goes; it may lose its end, or be made anew.

use bytes::Bytes;
use ledger::{Account, AccountKey, Amount, BusinessDate, Currency, Kind, Tenant};
use rand::{RngExt, rngs::StdRng};

use super::truth::Truth;
use crate::{
    lane::partition_of,
    log::{LogIdentity, LogMessage},
    worker::ParsedMessage,
};

/// The id of the one stream that there is.
pub(crate) const STREAM_ID: &str = "first";

/// What a line of a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Launch(Launch),
    Blank,
    Garbage,
}

/// A launch as its author means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) account: AccountKey,
    pub(crate) date: BusinessDate,
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
}

/// A message with what it means.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) lane: u16,
    pub(crate) lines: Vec<Line>,
    pub(crate) parsed: ParsedMessage,
}

/// All lanes of the log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) identity: LogIdentity,
    pub(crate) messages: Vec<Message>,
    /// What a naive fold makes of each lane.
    pub(crate) truths: Vec<Truth>,
    accounts: Vec<AccountKey>,
    dates: Vec<BusinessDate>,
    currencies: Vec<Currency>,
    /// Few ids: duplicates and conflicts are common.
    ids: u32,
}

impl Log {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let partitions = rng.random_range(1..=2);
        Self {
            identity: LogIdentity { epoch: 1, stream_id: STREAM_ID.into(), partitions },
            messages: Vec::new(),
            truths: (0..partitions).map(Truth::new).collect(),
            accounts: accounts(),
            dates: ["2026-01-30", "2026-01-31", "2026-02-01"].iter().filter_map(|text| text.parse().ok()).collect(),
            currencies: ["BRL", "JPY"].iter().filter_map(|code| Currency::parse(code).ok()).collect(),
            ids: rng.random_range(3..30),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.messages.last().map_or(0, |message| message.parsed.sequence())
    }

    /// The last sequence of a lane.
    pub(crate) fn end_of_lane(&self, lane: u16) -> u64 {
        let last = self.messages.iter().rev().find(|message| message.lane == lane);
        last.map_or(0, |message| message.parsed.sequence())
    }

    /// The first message of a lane at or behind a sequence.
    pub(crate) fn read(&self, lane: u16, from: u64) -> Option<&Message> {
        let start = self.messages.partition_point(|message| message.parsed.sequence() < from);
        self.messages[start..].iter().find(|message| message.lane == lane)
    }

    /// The message at a sequence, of whatever lane.
    pub(crate) fn get(&self, sequence: u64) -> Option<&LogMessage> {
        let index = self.messages.binary_search_by_key(&sequence, |message| message.parsed.sequence()).ok()?;
        Some(&self.messages[index].parsed.message)
    }

    /// Whether a line of a message, counted from 1, is a launch of an account.
    pub(crate) fn is_of(&self, sequence: u64, line: u32, account: &AccountKey) -> bool {
        let index = self.messages.binary_search_by_key(&sequence, |message| message.parsed.sequence()).ok();
        let lines = index.map(|index| &self.messages[index].lines);
        let line = lines.and_then(|lines| lines.get(usize::try_from(line).ok()?.checked_sub(1)?));
        matches!(line, Some(Line::Launch(launch)) if launch.account == *account)
    }

    /// Somebody appends a message, or the same one again.
    pub(crate) fn append(&mut self, rng: &mut StdRng, now_ms: u64) {
        let lane = rng.random_range(0..self.identity.partitions);
        let earlier: Vec<&Message> = self.messages.iter().filter(|message| message.lane == lane).collect();
        let lines = if !earlier.is_empty() && rng.random_bool(0.15) {
            earlier[rng.random_range(0..earlier.len())].lines.clone()
        } else {
            self.invent(rng, lane)
        };
        self.push(lane, lines, now_ms);
    }

    pub(crate) fn push(&mut self, lane: u16, lines: Vec<Line>, now_ms: u64) {
        let sequence = self.end() + 1;
        let payload = Bytes::from(render(&lines));
        let message = LogMessage { sequence, time_ms: i64::try_from(now_ms).unwrap_or(0), payload };
        let parsed = ParsedMessage::parse(message, lane, self.identity.partitions);
        self.truths[usize::from(lane)].append(sequence, &lines, self.identity.partitions);
        self.messages.push(Message { lane, lines, parsed });
    }

    fn invent(&self, rng: &mut StdRng, lane: u16) -> Vec<Line> {
        if rng.random_bool(0.1) {
            return Vec::new();
        }
        let lines = rng.random_range(1..=6);
        (0..lines).map(|_| self.invent_line(rng, lane)).collect()
    }

    fn invent_line(&self, rng: &mut StdRng, lane: u16) -> Line {
        match rng.random_range(0..100) {
            0..3 => Line::Blank,
            3..6 => Line::Garbage,
            _ => Line::Launch(self.invent_launch(rng, lane)),
        }
    }

    fn invent_launch(&self, rng: &mut StdRng, lane: u16) -> Launch {
        let is_home = |key: &&AccountKey| partition_of(key, self.identity.partitions) == lane;
        let homes: Vec<&AccountKey> = self.accounts.iter().filter(is_home).collect();
        let strays = homes.is_empty() || rng.random_bool(0.03);
        let account = if strays { pick(rng, &self.accounts).clone() } else { (*pick(rng, &homes)).clone() };
        let minor_units = rng.random_range(1..=9);
        Launch {
            account,
            date: *pick(rng, &self.dates),
            id: rng.random_range(0..self.ids),
            kind: if rng.random_bool(0.5) { Kind::Credit } else { Kind::Debit },
            amount: amount(minor_units),
            currency: *pick(rng, &self.currencies),
        }
    }

    /// The log loses its end: everything above `last`. Its sequences will be handed out again.
    pub(crate) fn lose_end(&mut self, last: u64) {
        self.messages.retain(|message| message.parsed.sequence() <= last);
        self.truths = (0..self.identity.partitions).map(Truth::new).collect();
        for message in &self.messages {
            let truth = &mut self.truths[usize::from(message.lane)];
            truth.append(message.parsed.sequence(), &message.lines, self.identity.partitions);
        }
    }
}

fn accounts() -> Vec<AccountKey> {
    let keys = [("acme", "a"), ("acme", "b"), ("acme", "c"), ("acme", "d"), ("beta", "a"), ("beta", "e")];
    let parse = |(tenant, account): &(&str, &str)| {
        Some(AccountKey { tenant: Tenant::parse(tenant).ok()?, account: Account::parse(account).ok()? })
    };
    keys.iter().filter_map(parse).collect()
}

/// An amount of few minor units; the money type has no other way to be made.
fn amount(minor_units: i64) -> Amount {
    match Amount::from_minor_units(minor_units) {
        Ok(amount) => amount,
        Err(_) => unreachable!("a small positive number is an amount"),
    }
}

pub(crate) fn pick<'a, T>(rng: &mut StdRng, items: &'a [T]) -> &'a T {
    &items[rng.random_range(0..items.len())]
}

fn render(lines: &[Line]) -> String {
    let texts: Vec<String> = lines.iter().map(Line::text).collect();
    texts.join("\n")
}

impl Line {
    fn text(&self) -> String {
        match self {
            Self::Launch(launch) => launch.text(),
            Self::Blank => String::new(),
            Self::Garbage => "{\"id\":".to_owned(),
        }
    }
}

impl Launch {
    /// The line as it stands on the log.
    pub(crate) fn text(&self) -> String {
        let Self { account, date, id, kind, amount, currency } = self;
        let kind = if *kind == Kind::Credit { "credit" } else { "debit" };
        let amount = ledger::format_minor_units(i128::from(amount.minor_units()), *currency);
        format!(
            "{{\"id\":\"i{id}\",\"tenant\":\"{}\",\"account\":\"{}\",\"date\":\"{date}\",\"kind\":\"{kind}\",\
             \"amount\":\"{amount}\",\"currency\":\"{currency}\"}}",
            account.tenant, account.account
        )
    }
}
