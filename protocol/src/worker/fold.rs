//! The fold of a run: what counts, entry by entry, and what that makes of the rows.

use ledger::{BusinessDate, Grain, Place, Seen};

use super::{
    config::{Bounds, Rules},
    counters::Counters,
    held::{ChunkDraft, Held, HeldAccount, HeldWindow},
    parking::{conflict, park},
    parse::{BadLine, ParsedEntry, ParsedMessage},
    run::Run,
};
use crate::parked::ParkedMessage;

/// Who folds: for parked messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) epoch: u8,
    pub(crate) partition: u16,
}

/// What the decisions of a run leave behind, beside the new launches in the windows.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    pub(crate) parked: Vec<ParkedMessage>,
    /// Accounts with an entry in the run, in the order of the log.
    pub(crate) accounts: Vec<u32>,
}

/// Decides for every entry of the run whether it counts. New launches are put into their windows' chunks.
pub(crate) fn decide(
    run: &mut Run,
    held: &mut Held,
    lane: Lane,
    (bounds, rules): (&Bounds, Rules),
    counters: &mut Counters,
) -> Decided {
    let mut decided = Decided::default();
    let mut windows = run.windows_of_entries.iter();
    for message in &mut run.messages {
        counters.messages += message.empty_messages.max(1);
        counters.empty_messages += message.empty_messages;
        let mut conflicts = Vec::new();
        for entry in std::mem::take(&mut message.entries) {
            let Some(window) = windows.next() else { break };
            if decided.list_account(*window, run.number, held).is_stopped {
                counters.stopped_entries += 1;
                continue;
            }
            conflicts.extend(decide_entry(entry, &mut held.windows[*window], (bounds, rules), counters));
        }
        decided.park(message, conflicts, lane, counters);
    }
    decided
}

impl Decided {
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

fn decide_entry(
    entry: ParsedEntry,
    window: &mut HeldWindow,
    (bounds, rules): (&Bounds, Rules),
    counters: &mut Counters,
) -> Option<BadLine> {
    match check(&entry, window, rules) {
        Seen::New => {
            counters.launches += 1;
            count(entry, window, bounds, rules);
            None
        }
        Seen::Duplicate { .. } => {
            counters.duplicates += 1;
            None
        }
        Seen::Conflict { first } => Some(conflict(entry.fact.place.line, first, entry.fact.line)),
    }
}

fn check(entry: &ParsedEntry, window: &HeldWindow, rules: Rules) -> Seen {
    let fact = &entry.fact;
    if rules.only_below_exists {
        return window.seen.check(fact.id_digest, fact.content_digest, fact.place);
    }
    // The rule left out: whatever the journal holds exists, also what it holds of this very place and beyond.
    window.seen.check(fact.id_digest, fact.content_digest, Place::new(u64::MAX, u32::MAX))
}

fn count(entry: ParsedEntry, window: &mut HeldWindow, bounds: &Bounds, rules: Rules) {
    let fact = entry.fact;
    for check in &mut window.checks {
        check.count(fact.currency, fact.kind, fact.place.sequence);
    }
    let below = window.seen.len();
    let needs_chunk = window.chunks.last().is_none_or(|chunk| chunk.is_full(fact.line.len(), bounds));
    if needs_chunk || !rules.journal_again {
        let before = window.seen.count_below(fact.place);
        let known = if rules.bucket_by_facts_below { before } else { below as u64 };
        let bucket = u32::try_from(known / bounds.bucket_facts).unwrap_or(u32::MAX);
        let facts = Vec::with_capacity(window.run_entries.min(bounds.chunk_facts));
        window.chunks.push(ChunkDraft { bucket, begins_window: before == 0, facts, bytes: 0, is_journaled: true });
    }
    window.seen.insert(fact.id_digest, fact.content_digest, fact.place);
    window.last_changed = fact.place.sequence;
    let was_known = window.seen.len() == below;
    if let Some(chunk) = window.chunks.last_mut() {
        chunk.is_journaled = rules.journal_again || !was_known;
        chunk.bytes += fact.line.len();
        chunk.facts.push(fact);
    }
}

impl ChunkDraft {
    /// Whether a launch of `more` bytes must begin another chunk. Every launch has a place of its own, so that no place is
    /// ever cut in two.
    fn is_full(&self, more: usize, bounds: &Bounds) -> bool {
        self.facts.len() >= bounds.chunk_facts || self.bytes + more > bounds.chunk_bytes
    }
}

/// Applies the new launches of a run to the rows that they belong to.
pub(crate) fn apply(run: &Run, held: &mut Held, rules: Rules) {
    for id in &run.windows {
        let window = &mut held.windows[*id];
        let account = &mut held.accounts[window.account];
        if account.is_stopped {
            window.chunks.clear();
        }
        if window.chunks.is_empty() {
            continue;
        }
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
            window.chunks.iter().flat_map(|chunk| &chunk.facts).for_each(|fact| group.apply(fact, rules));
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
