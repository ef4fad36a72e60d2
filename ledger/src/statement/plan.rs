//! Days of an account, from rows of one moment.

use std::collections::BTreeMap;

use super::{DayLine, OpeningPlan, days, opening};
use crate::{Balance, BusinessDate, Currency, Grain, RowKey, Totals};

/// Which rows the days of a range need, and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaysPlan {
    opening: OpeningPlan,
    to: BusinessDate,
}

impl DaysPlan {
    /// The days from `from` to `to`, both included; `today` as in [`OpeningPlan::new`].
    pub fn new(from: BusinessDate, to: BusinessDate, today: BusinessDate) -> Self {
        Self { opening: OpeningPlan::new(from, today), to }
    }

    /// The rows that [`Self::lines`] needs: inclusive ranges of row starts, by grain.
    pub fn ranges(&self) -> Vec<(Grain, BusinessDate, BusinessDate)> {
        let mut ranges = self.opening.ranges();
        ranges.push((Grain::Day, self.opening.date, self.to));
        ranges
    }

    /// The days, without those that have no launches unless `include_empty`. A day names the currencies that had a launch
    /// by then.
    pub fn lines(&self, rows: &BTreeMap<RowKey, Balance>, include_empty: bool) -> Vec<DayLine> {
        let lines = days(self.opening.date, self.to, &opening(&self.opening, rows), rows, include_empty);
        without_later_currencies(lines, self.launches_before(rows))
    }

    /// How many launches of each currency lie before the first day: its opening balance, with each launch counted as one.
    fn launches_before(&self, rows: &BTreeMap<RowKey, Balance>) -> BTreeMap<Currency, i128> {
        let counted = |balance: &Balance| Totals { credits: i128::from(balance.totals.count()), ..Totals::default() };
        let rows = rows.iter().map(|(key, balance)| (*key, Balance { totals: counted(balance), ..*balance })).collect();
        opening(&self.opening, &rows)
    }
}

/// Leaves out, on each day, the currencies whose first launch counts for a later one. A day then depends on nothing that is
/// dated after it, so that a later launch need not make it stale.
fn without_later_currencies(mut lines: Vec<DayLine>, mut counts: BTreeMap<Currency, i128>) -> Vec<DayLine> {
    for line in &mut lines {
        line.currencies.retain(|currency| {
            let count = counts.entry(currency.currency).or_default();
            *count += i128::from(currency.totals.count());
            *count > 0
        });
    }
    lines
}
