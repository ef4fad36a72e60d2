//! The fold of a run: what counts, and what that makes of the rows.

use ledger::{BusinessDate, Fact, Grain, Looked, NewId, Place};

use super::{
    config::{Bounds, Rules},
    counters::Counters,
    held::{ChunkDraft, Held, HeldAccount, HeldWindow},
    parking::{conflict, park},
    parse::{BadLine, ParsedMessage},
    run::Run,
};
use crate::parked::ParkedMessage;

/// Who folds: for parked messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) epoch: u8,
    pub(crate) partition: u16,
}

/// What the decisions of a run leave behind, beside the ids that the windows remember.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// New launches, window by window in the order of the run.
    pub(crate) chunks: Vec<ChunkDraft>,
    pub(crate) parked: Vec<ParkedMessage>,
    /// Accounts with an entry in the run, in the order of the log.
    pub(crate) accounts: Vec<u32>,
}

/// Decides for every entry of the run whether it counts.
///
/// Window by window, and within a window in the order of the log: what counts in one says nothing of another, and so the ids of a
/// window come into the processor's cache once a run and not once a launch.
pub(crate) fn decide(
    run: &mut Run,
    held: &mut Held,
    lane: Lane,
    (bounds, rules): (&Bounds, Rules),
    counters: &mut Counters,
) -> Decided {
    let mut decided = Decided::default();
    let mut conflicts = Vec::new();
    let facts_of_windows = facts_by_window(run);
    for (id, facts) in run.windows.iter().zip(facts_of_windows) {
        // Without any: it belongs to a message that was put back.
        if facts.is_empty() {
            continue;
        }
        if decided.list_account(*id, run.number, held).is_stopped {
            counters.stopped_entries += facts.len() as u64;
            continue;
        }
        let chunks = &mut Chunks { first: decided.chunks.len(), all: &mut decided.chunks, window: *id, bounds, rules };
        decide_window(facts, &mut held.windows[*id], chunks, counters, &mut conflicts);
    }
    decided.park_all(run, conflicts, lane, counters);
    decided
}

/// Takes the run's entries out, each to those of its window.
fn facts_by_window(run: &mut Run) -> Vec<Vec<Fact>> {
    let mut counts = vec![0; run.windows.len()];
    for window in &run.windows_of_entries {
        counts[*window as usize] += 1;
    }
    let mut facts: Vec<Vec<Fact>> = counts.into_iter().map(Vec::with_capacity).collect();
    let mut windows = run.windows_of_entries.iter();
    for message in &mut run.messages {
        for (entry, window) in std::mem::take(&mut message.entries).into_iter().zip(windows.by_ref()) {
            facts[*window as usize].push(entry.fact);
        }
    }
    facts
}

/// A launch whose id is known with other content, and the sequence of its message.
type Conflict = (u64, BadLine);

impl Decided {
    /// Windows stand in the order of their first entries, and so do their accounts.
    fn list_account<'h>(&mut self, window: u32, run: u64, held: &'h mut Held) -> &'h HeldAccount {
        let HeldWindow { account: id, date, .. } = held.windows[window];
        let account = &mut held.accounts[id];
        if account.folded.0 != run {
            account.folded = (run, date);
            self.accounts.push(id);
        }
        account.folded.1 = account.folded.1.min(date);
        account
    }

    fn park_all(&mut self, run: &mut Run, mut conflicts: Vec<Conflict>, lane: Lane, counters: &mut Counters) {
        conflicts.sort_by_key(|(sequence, _)| *sequence);
        let mut conflicts = conflicts.into_iter().peekable();
        for message in &mut run.messages {
            counters.messages += message.empty_messages.max(1);
            counters.empty_messages += message.empty_messages;
            let sequence = message.sequence();
            let of_message = std::iter::from_fn(|| conflicts.next_if(|conflict| conflict.0 == sequence));
            self.park(message, of_message.map(|(_, bad)| bad).collect(), lane, counters);
        }
    }

    fn park(&mut self, message: &mut ParsedMessage, conflicts: Vec<BadLine>, lane: Lane, counters: &mut Counters) {
        if conflicts.is_empty() && message.bad_lines == 0 {
            return;
        }
        let bad_lines = message.bad_lines + u32::try_from(conflicts.len()).unwrap_or(u32::MAX);
        let mut bad = std::mem::take(&mut message.bad);
        let unlisted = u64::from(message.bad_lines) - bad.len() as u64;
        bad.extend(conflicts);
        bad.sort_unstable_by_key(|bad| bad.line);
        for bad in &bad {
            *counters.parked_lines.entry(bad.invalid.reason.slug()).or_default() += 1;
        }
        if unlisted > 0 {
            *counters.parked_lines.entry("unlisted").or_default() += unlisted;
        }
        counters.parked_messages += 1;
        self.parked.push(park(message, lane.epoch, lane.partition, &bad, bad_lines));
    }
}

/// Decides for the entries of one window, in the order of the log.
fn decide_window(
    mut facts: Vec<Fact>,
    window: &mut HeldWindow,
    chunks: &mut Chunks<'_>,
    counters: &mut Counters,
    conflicts: &mut Vec<Conflict>,
) {
    facts.retain(|fact| {
        // The rule left out: whatever the journal holds exists, also what it holds of this very place and beyond.
        let below = if chunks.rules.only_below_exists { fact.place } else { Place::new(u64::MAX, u32::MAX) };
        match window.seen.look(fact.id_digest, fact.content_digest, below) {
            Looked::New(id) => {
                chunks.add(fact, &id);
                id.remember(fact.place);
                window.checks.iter_mut().for_each(|check| check.count(fact.currency, fact.kind, fact.place.sequence));
                window.last_changed = fact.place.sequence;
                counters.launches += 1;
                return true;
            }
            Looked::Duplicate { .. } => counters.duplicates += 1,
            Looked::Conflict { first } => {
                conflicts.push((fact.place.sequence, conflict(fact.place.line, first, fact.line.clone())));
            }
        }
        false
    });
    chunks.hand_out(facts);
}

/// The chunks of one window, at the end of those of all.
struct Chunks<'run> {
    all: &'run mut Vec<ChunkDraft>,
    first: usize,
    window: u32,
    bounds: &'run Bounds,
    rules: Rules,
}

impl Chunks<'_> {
    /// Notes a new launch, before the window remembers it.
    fn add(&mut self, fact: &Fact, id: &NewId<'_>) {
        let (bounds, rules) = (self.bounds, self.rules);
        let last = self.all[self.first..].last();
        let needs_chunk = last.is_none_or(|chunk| chunk.is_full(fact.line.len(), bounds));
        if needs_chunk || !rules.journal_again {
            let before = id.set().count_below(fact.place);
            let known = if rules.bucket_by_facts_below { before } else { id.set().len() as u64 };
            let bucket = u32::try_from(known / bounds.bucket_facts).unwrap_or(u32::MAX);
            let (window, begins_window) = (self.window, before == 0);
            self.all.push(ChunkDraft { window, bucket, begins_window, ..ChunkDraft::default() });
        }
        if let Some(chunk) = self.all.last_mut() {
            chunk.is_journaled = rules.journal_again || !id.is_known();
            chunk.bytes += fact.line.len();
            chunk.launches += 1;
        }
    }

    /// Gives each chunk its launches. Nearly always there is one.
    fn hand_out(&mut self, facts: Vec<Fact>) {
        let chunks = &mut self.all[self.first..];
        if let [only] = chunks {
            only.facts = facts;
            return;
        }
        let mut facts = facts.into_iter();
        for chunk in chunks {
            chunk.facts = facts.by_ref().take(chunk.launches).collect();
        }
    }
}

impl ChunkDraft {
    /// Whether a launch of `more` bytes must begin another chunk. Every launch has a place of its own, so that no place is
    /// ever cut in two.
    fn is_full(&self, more: usize, bounds: &Bounds) -> bool {
        self.launches >= bounds.chunk_facts || self.bytes + more > bounds.chunk_bytes
    }
}

/// Applies new launches to the rows that they belong to. Those of accounts that are stopped by now are dropped.
pub(crate) fn apply(chunks: &mut Vec<ChunkDraft>, held: &mut Held, rules: Rules) {
    chunks.retain(|chunk| !held.accounts[held.windows[chunk.window].account].is_stopped);
    for chunk in chunks {
        let window = &mut held.windows[chunk.window];
        let account = &mut held.accounts[window.account];
        let tenant = &mut held.tenants[account.tenant];
        let groups = [
            &mut window.day,
            account.months.of(window.month),
            &mut account.lifetime,
            tenant.days.of(window.date),
            tenant.months.of(window.month),
            &mut tenant.lifetime,
        ];
        for group in groups {
            chunk.facts.iter().for_each(|fact| group.apply(fact, rules));
        }
    }
}

/// Stamps what the run changed and puts it into the batches of its owners.
pub(crate) fn stamp(run: &Run, held: &mut Held, sequence: u64) {
    for id in &run.windows {
        let window = &mut held.windows[*id];
        let account = &mut held.accounts[window.account];
        let tenant = &mut held.tenants[account.tenant];
        let (date, month) = (window.date, window.month);
        window.day.take_dirty(sequence, Grain::Day, date, &mut account.batch);
        account.months.of(month).take_dirty(sequence, Grain::Month, month, &mut account.batch);
        account.lifetime.take_dirty(sequence, Grain::Lifetime, BusinessDate::MIN, &mut account.batch);
        tenant.days.of(date).take_dirty(sequence, Grain::Day, date, &mut tenant.batch);
        tenant.months.of(month).take_dirty(sequence, Grain::Month, month, &mut tenant.batch);
        tenant.lifetime.take_dirty(sequence, Grain::Lifetime, BusinessDate::MIN, &mut tenant.batch);
    }
}
