//! Deciding window by window comes to the very same as deciding entry by entry.

use std::collections::BTreeMap;

use ledger::{Balance, Fact, Place, Seen};
use proptest::prelude::*;

use super::alone::{key, message};
use crate::log::LogMark;
use crate::worker::{
    Counters, ParsedMessage, WorkerConfig,
    config::{Bounds, Rules},
    day_check::check_day,
    fold::{Decided, Lane, decide},
    held::{ChunkDraft, Held, HeldWindow},
    parking::{conflict, park},
    parse::BadLine,
    queue::ReadAhead,
    rows::RowGroup,
    run::Run,
};

const BOUNDS: Bounds = Bounds { batch_rows: 40, chunk_facts: 3, chunk_bytes: 600, bucket_facts: 4, load_windows: 8 };
const LANE: Lane = Lane { epoch: 1, partition: 0 };

/// A line: a launch of few accounts, days, ids and contents; or one that cannot be applied.
#[derive(Clone, Debug)]
struct Line {
    account: u8,
    day: u8,
    id: u8,
    content: u8,
    is_bad: bool,
}

impl Line {
    fn text(&self) -> String {
        if self.is_bad {
            return format!("{{\"id\":\"{}\"}}", self.id);
        }
        let (id, account, day) = (self.id, self.account, self.day);
        let padding = "x".repeat(usize::from(self.content) * 150);
        let currency = if self.content == 2 { "JPY" } else { "BRL" };
        format!(
            r#"{{"id":"{id}","tenant":"acme","account":"a{account}","date":"2026-11-{day:02}","kind":"credit","amount":"1","currency":"{currency}","description":"{padding}"}}"#
        )
    }
}

/// Messages, what the windows know before, the account that is stopped, and how many entries a run may have.
#[derive(Clone, Debug)]
struct Case {
    messages: Vec<Vec<Line>>,
    known: Vec<(Line, u64)>,
    stopped: u8,
    run_entries: usize,
    rules: Rules,
}

fn line() -> impl Strategy<Value = Line> {
    let is_bad = prop::bool::weighted(0.1);
    (1..4_u8, 1..4_u8, 0..12_u8, 0..3_u8, is_bad).prop_map(|(account, day, id, content, is_bad)| Line {
        account,
        day,
        id,
        content,
        is_bad,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::bool::weighted(0.9)).prop_map(
        |(only_below_exists, journal_again, bucket_by_facts_below)| Rules {
            only_below_exists,
            journal_again,
            bucket_by_facts_below,
            ..Rules::default()
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let messages = prop::collection::vec(prop::collection::vec(line(), 0..16), 1..12);
    // Known from below, from the places of the run, as after a crash, and from beyond.
    let known = prop::collection::vec((line(), 1..30_u64), 0..12);
    (messages, known, 1..12_u8, 4..60_usize, rules()).prop_map(|(messages, known, stopped, run_entries, rules)| Case {
        messages,
        known,
        stopped,
        run_entries,
        rules,
    })
}

/// Sequence of the first message.
const FIRST: u64 = 10;

/// A worker's state with a run of its own.
struct Side {
    held: Held,
    queue: ReadAhead,
    counters: Counters,
}

impl Side {
    fn new(case: &Case) -> Self {
        let mut side = Self { held: Held::default(), queue: ReadAhead::default(), counters: Counters::default() };
        for (line, sequence) in &case.known {
            let parsed = parse(*sequence, std::slice::from_ref(line));
            for entry in &parsed.entries {
                let window = side.held.window(&entry.account, entry.date);
                let (fact, window) = (&entry.fact, &mut side.held.windows[window]);
                window.seen.insert(fact.id_digest, fact.content_digest, fact.place);
                // A row from beyond the replay.
                let mut day = RowGroup::default();
                day.install(fact.currency, Balance { applied: FIRST + sequence / 4, ..Balance::default() });
                window.checks.extend(check_day(&day, &[], LogMark::default(), true).pending);
            }
        }
        for (sequence, lines) in (FIRST..).zip(&case.messages) {
            side.queue.push(parse(sequence, lines));
        }
        side
    }

    fn gather(&mut self, number: u64, case: &Case) -> Run {
        let config = WorkerConfig { commit_launches: case.run_entries, ..WorkerConfig::default() };
        let run = Run::gather(number, &mut self.queue, &mut self.held, &config, &BOUNDS, case.rules);
        if let Some(account) = self.held.find_account(&key("acme", &format!("a{}", case.stopped))) {
            account.is_stopped = true;
        }
        run
    }

    /// All that a run leaves behind.
    fn told(&self, run: &Run, decided: &Decided) -> String {
        let windows: Vec<_> = run.windows.iter().map(|id| &self.held.windows[*id]).collect();
        let accounts: Vec<_> = run.accounts.iter().map(|id| &self.held.accounts[*id]).collect();
        format!("{decided:#?} {windows:#?} {accounts:#?} {:#?}", self.counters)
    }
}

fn parse(sequence: u64, lines: &[Line]) -> ParsedMessage {
    let texts: Vec<String> = lines.iter().map(Line::text).collect();
    ParsedMessage::parse(message(sequence, texts.join("\n")), 0, 1)
}

/// As a reader of the rules would do it: one entry after the other, as they stand on the log.
fn decide_one_by_one(run: &mut Run, held: &mut Held, rules: Rules, counters: &mut Counters) -> Decided {
    let mut decided = Decided::default();
    let mut chunks: BTreeMap<u32, Vec<ChunkDraft>> = BTreeMap::new();
    let mut windows = run.windows_of_entries.iter();
    for message in &mut run.messages {
        counters.messages += message.empty_messages.max(1);
        counters.empty_messages += message.empty_messages;
        let mut bad = std::mem::take(&mut message.bad);
        for entry in std::mem::take(&mut message.entries) {
            let index = windows.next().unwrap();
            let id = run.windows[*index as usize];
            let HeldWindow { account, date, .. } = held.windows[id];
            let held_account = &mut held.accounts[account];
            if held_account.folded.0 != run.number {
                held_account.folded = (run.number, date);
                decided.accounts.push(account);
            }
            held_account.folded.1 = held_account.folded.1.min(date);
            if held_account.is_stopped {
                counters.stopped_entries += 1;
                continue;
            }
            let drafts = chunks.entry(*index).or_default();
            bad.extend(decide_one(entry.fact, &mut held.windows[id], (id, drafts), rules, counters));
        }
        let bad_lines = u32::try_from(bad.len()).unwrap();
        bad.sort_unstable_by_key(|bad| bad.line);
        for bad in &bad {
            *counters.parked_lines.entry(bad.invalid.reason.slug()).or_default() += 1;
        }
        if bad_lines > 0 {
            counters.parked_messages += 1;
            decided.parked.push(park(message, LANE.epoch, LANE.partition, &bad, bad_lines));
        }
    }
    decided.chunks = chunks.into_values().flatten().collect();
    decided
}

fn decide_one(
    fact: Fact,
    window: &mut HeldWindow,
    (id, chunks): (u32, &mut Vec<ChunkDraft>),
    rules: Rules,
    counters: &mut Counters,
) -> Option<BadLine> {
    let below = if rules.only_below_exists { fact.place } else { Place::new(u64::MAX, u32::MAX) };
    match window.seen.check(fact.id_digest, fact.content_digest, below) {
        Seen::New => {
            counters.launches += 1;
            count(fact, window, (id, chunks), rules);
            None
        }
        Seen::Duplicate { .. } => {
            counters.duplicates += 1;
            None
        }
        Seen::Conflict { first } => Some(conflict(fact.place.line, first, fact.line)),
    }
}

fn count(fact: Fact, window: &mut HeldWindow, (id, chunks): (u32, &mut Vec<ChunkDraft>), rules: Rules) {
    window.checks.iter_mut().for_each(|check| check.count(fact.currency, fact.kind, fact.place.sequence));
    let known = window.seen.len();
    let fits = |chunk: &ChunkDraft| {
        chunk.facts.len() < BOUNDS.chunk_facts && chunk.bytes + fact.line.len() <= BOUNDS.chunk_bytes
    };
    if !(rules.journal_again && chunks.last().is_some_and(fits)) {
        let before = window.seen.count_below(fact.place);
        let facts = if rules.bucket_by_facts_below { before } else { known as u64 };
        let bucket = u32::try_from(facts / BOUNDS.bucket_facts).unwrap();
        chunks.push(ChunkDraft { window: id, bucket, begins_window: before == 0, ..ChunkDraft::default() });
    }
    window.seen.insert(fact.id_digest, fact.content_digest, fact.place);
    window.last_changed = fact.place.sequence;
    let was_known = window.seen.len() == known;
    let chunk = chunks.last_mut().unwrap();
    chunk.is_journaled = rules.journal_again || !was_known;
    chunk.bytes += fact.line.len();
    chunk.launches += 1;
    chunk.facts.push(fact);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn window_by_window_is_entry_by_entry(case in case()) {
        let (mut fast, mut slow) = (Side::new(&case), Side::new(&case));
        for number in 1.. {
            let (mut of_fast, mut of_slow) = (fast.gather(number, &case), slow.gather(number, &case));
            if of_fast.messages.is_empty() {
                break;
            }
            let decided = decide(&mut of_fast, &mut fast.held, LANE, (&BOUNDS, case.rules), &mut fast.counters);
            let expected = decide_one_by_one(&mut of_slow, &mut slow.held, case.rules, &mut slow.counters);
            prop_assert_eq!(fast.told(&of_fast, &decided), slow.told(&of_slow, &expected));
        }
    }
}
