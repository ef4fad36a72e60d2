//! The simulated log: several ingests append to it, by hand anything goes; it may lose its end, or be made anew.

use bytes::Bytes;
use ledger::AccountKey;
use rand::{RngExt, rngs::StdRng};

use super::{
    judge::account_key,
    oracle::{ACCOUNTS, CURRENCIES, Day, Launch, Line, Truth, model::partition_of},
};
use crate::{
    log::{LogIdentity, LogMessage},
    worker::ParsedMessage,
};

/// The id of the one stream that there is.
pub(crate) const STREAM_ID: &str = "first";

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
    /// Accounts that launches are posted for; few have long days.
    accounts: Vec<usize>,
    /// Few of [`DAYS`].
    pub(crate) days: Vec<Day>,
    /// The log's clock is so much ahead of the world's: what a reader takes for today decides which rows it sums up.
    today_ms: u64,
    /// Few ids: duplicates and conflicts are common.
    ids: u32,
}

impl Log {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let partitions = rng.random_range(1..=2);
        let is_busy = rng.random_bool(0.3);
        let count = if is_busy { rng.random_range(1..=2) } else { ACCOUNTS.len() };
        let first = rng.random_range(0..ACCOUNTS.len());
        let days = if is_busy { 1 } else { DAYS_OF_A_LOG };
        Self {
            identity: LogIdentity { epoch: 1, stream_id: STREAM_ID.into(), partitions },
            messages: Vec::new(),
            truths: (0..partitions).map(Truth::new).collect(),
            accounts: (first..first + count).map(|account| account % ACCOUNTS.len()).collect(),
            days: (0..days).map(|_| *pick(rng, &DAYS)).collect(),
            today_ms: u64::try_from(pick(rng, &TODAYS).since_1970()).unwrap_or(0) * DAY_MS,
            ids: if is_busy { rng.random_range(30..300) } else { rng.random_range(3..30) },
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
        matches!(line, Some(Line::Launch(launch)) if account_key(launch.account) == account)
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
        let time_ms = i64::try_from(self.today_ms + now_ms).unwrap_or(0);
        let message = LogMessage { sequence, time_ms, payload };
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
        let is_home = |account: &&usize| partition_of(**account, self.identity.partitions) == lane;
        let homes: Vec<&usize> = self.accounts.iter().filter(is_home).collect();
        let strays = homes.is_empty() || rng.random_bool(0.03);
        Launch {
            account: if strays { rng.random_range(0..ACCOUNTS.len()) } else { **pick(rng, &homes) },
            day: *pick(rng, &self.days),
            id: rng.random_range(0..self.ids),
            is_credit: rng.random_bool(0.5),
            minor_units: if rng.random_bool(0.02) { MOST_MINOR_UNITS } else { rng.random_range(1..=9) },
            currency: rng.random_range(0..CURRENCIES.len()),
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

pub(crate) fn pick<'a, T>(rng: &mut StdRng, items: &'a [T]) -> &'a T {
    &items[rng.random_range(0..items.len())]
}

fn render(lines: &[Line]) -> String {
    let texts: Vec<String> = lines.iter().map(Line::text).collect();
    texts.join("\n")
}

/// The largest amount of a launch.
const MOST_MINOR_UNITS: i64 = 1_000_000_000_000_000;
const DAY_MS: u64 = 86_400_000;
const DAYS_OF_A_LOG: usize = 3;
/// Ends and beginnings of months and years, a leap day, and a day of long ago.
const DAYS: [Day; 8] = [
    Day::new(2022, 6, 15),
    Day::new(2023, 12, 31),
    Day::new(2024, 2, 29),
    Day::new(2026, 1, 1),
    Day::new(2026, 1, 30),
    Day::new(2026, 1, 31),
    Day::new(2026, 2, 1),
    Day::new(2026, 2, 28),
];
/// What the log's clock may show.
const TODAYS: [Day; 5] =
    [Day::new(1970, 1, 1), Day::new(2024, 2, 10), Day::new(2026, 1, 31), Day::new(2026, 2, 2), Day::new(2030, 7, 20)];
