//! A message of the log, split into lines and parsed once. It needs nothing of the worker: a service parses on another
//! core while the worker folds.

use bytes::Bytes;
use ledger::{AccountKey, BusinessDate, Fact, Invalid, Launch, MAX_LINE_BYTES, Place, Reason, parse_logged};

use crate::{
    lane::partition_of,
    log::{LogMark, LogMessage},
    parked::ParkedMessage,
    worker::parking,
};

/// Bad lines that are kept of one message: more do not fit into a parked message, the rest is counted.
const MAX_KEPT_BAD_LINES: usize = 1_100;
/// What a bad line costs of the budgets beside its text: its reason, its detail, its frame in a parked message.
const BAD_LINE_COST: usize = 256;
/// What a message costs of the budgets beside its text and its lines.
const MESSAGE_COST: usize = 128;
/// Characters of a stray message's detail: a subject may be long.
const MAX_DETAIL_CHARS: usize = 256;

/// Memory is set aside for so many lines of a message: as many as ingest packs.
const MOST_EXPECTED_LINES: usize = 4_096;

/// A launch of a message, ready to be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedEntry {
    /// Whose launch.
    pub account: AccountKey,
    /// The calendar day it counts for.
    pub date: BusinessDate,
    /// What the journal keeps when the launch counts.
    pub fact: Fact,
}

/// A line that cannot be applied, whatever lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Line in the message, from 1.
    pub line: u32,
    /// Why.
    pub invalid: Invalid,
    /// The line as it stands.
    pub text: Bytes,
}

/// A message as the worker takes it: parsed, or a run of messages without any line put into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedMessage {
    /// The message as read; of a run of empty messages the last one.
    pub message: LogMessage,
    /// Its launches, in order of their lines.
    pub entries: Vec<ParsedEntry>,
    /// Its first bad lines, in order.
    pub bad: Vec<BadLine>,
    /// How many lines are bad, also when `bad` lists fewer.
    pub bad_lines: u32,
    /// How many messages without any line this one stands for: 0 when it has lines.
    pub empty_messages: u64,
}

impl ParsedMessage {
    /// Splits a message into lines and parses each. Blank lines are counted and skipped; a byte order mark at the start is
    /// skipped. However many lines a message has, all are applied: its size is bounded by the log.
    pub fn parse(message: LogMessage, partition: u16, partitions: u16) -> Self {
        let mut parsed = Self { message, entries: Vec::new(), bad: Vec::new(), bad_lines: 0, empty_messages: 0 };
        let payload = parsed.message.payload.clone();
        let start = if payload.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut at = start;
        let mut number = 0;
        while at < payload.len() {
            let end = line_end(&payload, at);
            number += 1;
            if number == 1 {
                parsed.expect_lines_of(end - at);
            }
            parsed.take_line(&payload, at..end, number, (partition, partitions));
            at = end + 1;
        }
        if parsed.entries.is_empty() && parsed.bad_lines == 0 {
            parsed.empty_messages = 1;
        }
        parsed
    }

    /// A message that stands under a subject of no lane, which no worker reads: each of its lines is bad.
    pub fn stray(message: LogMessage, subject: &str) -> Self {
        let detail: String =
            format!("published to {subject}, which names no account").chars().take(MAX_DETAIL_CHARS).collect();
        let payload = message.payload.clone();
        let mut parsed = Self { message, entries: Vec::new(), bad: Vec::new(), bad_lines: 0, empty_messages: 0 };
        for (number, text) in (1..).zip(payload.split(|byte| *byte == b'\n')) {
            if !text.iter().all(u8::is_ascii_whitespace) {
                let invalid = Invalid::new(Reason::WrongLane, detail.clone());
                parsed.take_bad(BadLine { line: number, invalid, text: payload.slice_ref(text) });
            }
        }
        parsed
    }

    /// Its bad lines, as they are kept.
    pub fn parked(&self, epoch: u8, partition: u16) -> ParkedMessage {
        parking::park(self, epoch, partition, &self.bad, self.bad_lines)
    }

    /// The first line says how many there may be.
    fn expect_lines_of(&mut self, bytes: usize) {
        let lines = self.message.payload.len() / (bytes + 1) + 1;
        self.entries.reserve(lines.min(MOST_EXPECTED_LINES));
    }

    fn take_line(&mut self, payload: &Bytes, range: std::ops::Range<usize>, number: u32, lane: (u16, u16)) {
        let text = &payload[range.clone()];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let line = payload.slice(range.start..range.start + text.len());
        match parse_line(&line, Place::new(self.message.sequence, number), lane) {
            Ok(entry) => self.entries.push(entry),
            Err(invalid) => self.take_bad(BadLine { line: number, invalid, text: line }),
        }
    }

    fn take_bad(&mut self, bad: BadLine) {
        self.bad_lines += 1;
        if self.bad.len() < MAX_KEPT_BAD_LINES {
            self.bad.push(bad);
        }
    }

    /// What the message costs of the budgets for read-ahead and commits, in bytes.
    pub fn cost(&self) -> usize {
        let lines = self.entries.len() * size_of::<ParsedEntry>() + self.bad.len() * BAD_LINE_COST;
        MESSAGE_COST + self.message.payload.len() + lines
    }

    /// Stream sequence.
    pub fn sequence(&self) -> u64 {
        self.message.sequence
    }

    /// Sequence and digest.
    pub fn mark(&self) -> LogMark {
        self.message.mark()
    }
}

fn line_end(payload: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &payload[at..]).map_or(payload.len(), |length| at + length)
}

fn parse_line(line: &Bytes, place: Place, (partition, partitions): (u16, u16)) -> Result<ParsedEntry, Invalid> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Invalid::new(Reason::LineTooLong, format!("a line has at most {MAX_LINE_BYTES} bytes")));
    }
    let launch = parse_logged(line)?;
    let Launch { tenant, account, date, kind, amount, currency, id_digest, content_digest, .. } = launch;
    let account = AccountKey { tenant, account };
    let home = partition_of(&account, partitions);
    if home != partition {
        let detail = format!("the account belongs to partition {home}, the line stands in partition {partition}");
        return Err(Invalid::new(Reason::WrongLane, detail));
    }
    let fact = Fact { place, id_digest, content_digest, kind, currency, amount, line: line.clone() };
    Ok(ParsedEntry { account, date, fact })
}

#[cfg(test)]
mod stray_tests {
    use super::*;

    #[test]
    fn each_line_of_a_stray_message_is_parked_with_its_names() {
        let payload = Bytes::from_static(b"{\"tenant\":\"acme\",\"account\":\"s-1\",\"id\":\"x\"}\n\nnonsense");
        let message = LogMessage { sequence: 7, time_ms: 5, payload };
        let parked = ParsedMessage::stray(message, "launches.in.acme.*").parked(1, 0);
        assert_eq!((parked.sequence, parked.time_ms, parked.bad_lines), (7, 5, 2));
        let lines: Vec<_> =
            parked.lines.iter().map(|line| (line.line, line.reason.as_str(), line.id.as_deref())).collect();
        assert_eq!(lines, [(1, "wrong_lane", Some("x")), (3, "wrong_lane", None)]);
        assert!(parked.lines[0].detail.contains("launches.in.acme.*"));
        let empty = LogMessage { sequence: 7, time_ms: 5, payload: Bytes::new() };
        assert_eq!(ParsedMessage::stray(empty, "x").bad_lines, 0);
    }
}
