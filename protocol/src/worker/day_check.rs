//! Whether a loaded day row agrees with its window's journal.
//!
//! Everything up to the worker's position is complete in the store: what lies at or below the checkpoint it started from by
//! the meaning of a checkpoint, what lies above because this worker wrote it and held it. So of a row stamped at or below
//! the position the counts must equal the journal's launches up to the position. A row stamped above was written by another
//! worker, or before a crash, and its journal may be half gone: it is compared once the replay has passed its stamp, with
//! the launches that the replay counted.

use ledger::{Balance, Currency, Kind, Totals};

use super::rows::RowGroup;
use crate::{load::JournalEntry, log::LogMark};

/// A row whose stamp lies above the replay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingCheck {
    pub(crate) currency: Currency,
    pub(crate) stamp: u64,
    stored: Counts,
    counted: Counts,
    /// How far the worker was when it loaded the row: a restart from here loads it again.
    pub(crate) loaded_at: LogMark,
}

/// Credits and debits of one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    credits: u64,
    debits: u64,
}

impl Counts {
    fn of(totals: &Totals) -> Self {
        Self { credits: totals.credit_count, debits: totals.debit_count }
    }

    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Credit => self.credits += 1,
            Kind::Debit => self.debits += 1,
        }
    }

    fn of_journal(entries: &[JournalEntry], currency: Currency, upto: u64) -> Self {
        let mut counts = Self::default();
        let counting = entries.iter().filter(|entry| entry.currency == currency && entry.place.sequence <= upto);
        counting.for_each(|entry| counts.add(entry.kind));
        counts
    }
}

impl PendingCheck {
    /// The replay counted a launch of the window.
    pub(crate) fn count(&mut self, currency: Currency, kind: Kind, sequence: u64) {
        if currency == self.currency && sequence <= self.stamp {
            self.counted.add(kind);
        }
    }

    pub(crate) fn agrees(&self) -> bool {
        self.counted == self.stored
    }
}

/// What came of comparing a day's rows with its journal.
#[derive(Debug, Default)]
pub(crate) struct DayCheck {
    pub(crate) differs: bool,
    pub(crate) pending: Vec<PendingCheck>,
}

/// Compares the rows of a day, as loaded, with the journal, as loaded; `position` is how far the worker is.
pub(crate) fn check_day(day: &RowGroup, journal: &[JournalEntry], position: LogMark, waits: bool) -> DayCheck {
    let mut check = DayCheck::default();
    for (currency, balance) in day.balances() {
        check_row(&mut check, currency, balance, journal, position, waits);
    }
    let has_row = |entry: &JournalEntry| day.balance(entry.currency).is_some();
    check.differs |= journal.iter().any(|entry| entry.place.sequence <= position.sequence && !has_row(entry));
    check
}

fn check_row(
    check: &mut DayCheck,
    currency: Currency,
    balance: &Balance,
    journal: &[JournalEntry],
    position: LogMark,
    waits: bool,
) {
    let (stored, stamp) = (Counts::of(&balance.totals), balance.applied);
    if stamp > position.sequence && waits {
        let counted = Counts::of_journal(journal, currency, position.sequence);
        check.pending.push(PendingCheck { currency, stamp, stored, counted, loaded_at: position });
    } else {
        let upto = stamp.max(position.sequence);
        check.differs |= Counts::of_journal(journal, currency, upto) != stored;
    }
}
