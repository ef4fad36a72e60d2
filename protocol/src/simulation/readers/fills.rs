//! Reads of the store that take their time: an account's rows in two parts, the journal of the last day after them.

use std::collections::BTreeMap;

use ledger::{BusinessDate, Grain, Place, RowKey, Totals, WindowKey};
use rand::{RngExt, rngs::StdRng};

use super::{Moment, Query, ReaderRules};
use crate::{
    query::{EntryKey, FillOutcome, FillTicket},
    simulation::{Violation, store::SimulatedStore},
};

/// An account's day rows up to some date, and the launches of that date, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(super) applied: Option<u64>,
    pub(super) rows: BTreeMap<RowKey, Totals>,
    pub(super) launches: Vec<Place>,
}

impl Value {
    /// Rows and launches are these.
    pub(super) fn holds(&self, other: &Self) -> bool {
        (&self.rows, &self.launches) == (&other.rows, &other.launches)
    }
}

/// A fill in flight, with its readers.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) ticket: FillTicket<()>,
    /// The highest position that its readers demand.
    pub(super) minimum: u64,
    pub(super) is_believed: bool,
    pub(super) read: Read,
}

/// How far a fill has read.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Nothing,
    /// The journal, before any row, as no fill may.
    Journal(Vec<Place>),
    /// The rows of all days but the last.
    Earlier(Value),
    Rows(Value),
    All(Value),
}

impl Fill {
    /// Reads on.
    fn read_on(&mut self, store: &SimulatedStore, is_atomic: bool, rules: ReaderRules) {
        let key = self.ticket.key().clone();
        self.read = match std::mem::replace(&mut self.read, Read::Nothing) {
            Read::Nothing if !rules.journal_after_rows => Read::Journal(self.launches(store, &key, u64::MAX)),
            Read::Nothing => Read::Earlier(earlier_rows(store, &key)),
            Read::Journal(launches) => Read::Earlier(Value { launches, ..earlier_rows(store, &key) }),
            Read::Earlier(before) => {
                let mut value = rows(store, &key, key.until, key.until);
                if value.applied != before.applied && rules.one_applied {
                    Read::Nothing
                } else {
                    value.rows.extend(before.rows);
                    Read::Rows(Value { applied: before.applied, launches: before.launches, ..value })
                }
            }
            Read::Rows(value) => {
                let upto = if rules.facts_above_are_ignored { self.ticket.upto(value.applied) } else { u64::MAX };
                let launches = if rules.journal_after_rows {
                    self.launches(store, &key, upto)
                } else {
                    value.launches.iter().copied().filter(|place| place.sequence <= upto).collect()
                };
                Read::All(Value { launches, ..value })
            }
            Read::All(value) => Read::All(value),
        };
        // What is read of a snapshot is read at once.
        if is_atomic && !matches!(self.read, Read::All(_)) {
            self.read_on(store, is_atomic, rules);
        }
    }

    fn launches(&self, store: &SimulatedStore, key: &EntryKey<()>, upto: u64) -> Vec<Place> {
        let (tenant, account) = (key.account.tenant.clone(), key.account.account.clone());
        let window = WindowKey { tenant, account, date: key.until };
        let (facts, _more) = store.launches(&window, None, upto, usize::MAX);
        facts.into_iter().map(|fact| fact.place).collect()
    }
}

fn earlier_rows(store: &SimulatedStore, key: &EntryKey<()>) -> Value {
    rows(store, key, BusinessDate::MIN, key.until.previous().unwrap_or(BusinessDate::MIN))
}

fn rows(store: &SimulatedStore, key: &EntryKey<()>, from: BusinessDate, to: BusinessDate) -> Value {
    let (applied, rows) = store.account_view(&key.account, &[(Grain::Day, from, to)]);
    let rows = rows.into_iter().map(|(key, balance)| (key, balance.totals)).collect();
    Value { applied, rows, launches: Vec::new() }
}

impl Query {
    pub(super) fn go_on_with_a_fill(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        if self.fills.is_empty() {
            return Ok(());
        }
        let index = rng.random_range(0..self.fills.len());
        let fill = &mut self.fills[index];
        let Read::All(value) = &fill.read else {
            fill.read_on(moment.store, self.is_atomic, self.rules);
            return Ok(());
        };
        let value = value.clone();
        let Fill { ticket, minimum, is_believed, .. } = self.fills.swap_remove(index);
        let key = ticket.key().clone();
        match self.lane.finish_fill(ticket, Some((value.clone(), 100)), moment.now_ms) {
            FillOutcome::Answer(stamp) if is_believed => self.answer(&key, &value, stamp, minimum, moment),
            FillOutcome::Answer(_) | FillOutcome::Again => Ok(()),
        }
    }
}
