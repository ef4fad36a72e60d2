//! Opening and closing balances. Nothing stored chains: an opening balance is a sum of rows, taken from the cheaper side.

mod days;
mod plan;

use std::collections::BTreeMap;

use crate::{Balance, BusinessDate, Currency, Grain, RowKey};

pub use days::{CurrencyLine, DayLine, days};
pub use plan::DaysPlan;

/// A balance for each currency, in minor units.
pub type Balances = BTreeMap<Currency, i128>;

/// From which side rows are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Add what lies before.
    Before,
    /// Start from the larger total and take off what lies at or after.
    After,
}

/// Which rows an opening balance of `date` needs, see [`OpeningPlan::new`].
///
/// | months | days | opening balance |
/// |---|---|---|
/// | before | before | months before the date's + days of its month before it |
/// | before | after | months up to and with the date's − days of its month from it on |
/// | after | before | lifetime − the date's month and later ones + days of its month before it |
/// | after | after | lifetime − months after the date's − days of its month from it on |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningPlan {
    /// The day whose opening balance is asked.
    pub date: BusinessDate,
    /// Months before the date's month, or the lifetime less the date's month and later ones.
    pub months: Side,
    /// Days of the month before `date`, or the month less `date` and later days.
    pub days: Side,
}

/// Opening balances up to this many months back are taken from the lifetime row: how far an account reaches back is not
/// known here, and one that does for four years has as many months before as after then.
const MONTHS_FROM_LIFETIME: i32 = 24;

impl OpeningPlan {
    /// The cheaper plan, judged by the calendar alone: `today` is the date of the last applied message, most launches
    /// lie before it.
    pub fn new(date: BusinessDate, today: BusinessDate) -> Self {
        let months_since = month_number(today) - month_number(date);
        let months = if months_since <= MONTHS_FROM_LIFETIME { Side::After } else { Side::Before };
        // Days after `today` are mostly empty: they cost nothing.
        let days_before = date.days().min(today.days() + 1) - date.first_of_month().days();
        let days_from_date_on = date.last_of_month().days().min(today.days()) + 1 - date.days();
        let days = if days_before.max(0) <= days_from_date_on.max(0) { Side::Before } else { Side::After };
        Self { date, months, days }
    }

    /// The rows that [`opening`] needs: inclusive ranges of row starts, by grain. The lifetime is always among them: it
    /// names every currency that the account ever had.
    pub fn ranges(&self) -> Vec<(Grain, BusinessDate, BusinessDate)> {
        let mut ranges = vec![(Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN)];
        ranges.extend(self.month_range().map(|(first, last)| (Grain::Month, first, last)));
        ranges.extend(self.day_range().map(|(first, last)| (Grain::Day, first, last)));
        ranges
    }

    /// First and last month that are summed, if there are any.
    fn month_range(&self) -> Option<(BusinessDate, BusinessDate)> {
        let month = self.date.first_of_month();
        let earliest = BusinessDate::MIN;
        let latest = BusinessDate::MAX.first_of_month();
        match (self.months, self.days) {
            (Side::Before, Side::Before) => month.previous().map(|last| (earliest, last.first_of_month())),
            (Side::Before, Side::After) => Some((earliest, month)),
            (Side::After, Side::Before) => Some((month, latest)),
            (Side::After, Side::After) => month.last_of_month().next().map(|first| (first, latest)),
        }
    }

    /// First and last day that are summed, if there are any.
    fn day_range(&self) -> Option<(BusinessDate, BusinessDate)> {
        let month = self.date.first_of_month();
        match self.days {
            Side::Before => self.date.previous().filter(|last| *last >= month).map(|last| (month, last)),
            Side::After => Some((self.date, month.last_of_month())),
        }
    }

    fn month_sign(&self) -> i128 {
        match self.months {
            Side::Before => 1,
            Side::After => -1,
        }
    }

    fn day_sign(&self) -> i128 {
        match self.days {
            Side::Before => 1,
            Side::After => -1,
        }
    }

    /// With which sign a row counts in the opening balance; 0 for a row that is not part of the plan.
    fn sign(&self, key: &RowKey) -> i128 {
        let is_in = |range: Option<(BusinessDate, BusinessDate)>| {
            range.is_some_and(|(first, last)| (first..=last).contains(&key.start))
        };
        match key.grain {
            Grain::Lifetime if self.months == Side::After => 1,
            Grain::Month if is_in(self.month_range()) => self.month_sign(),
            Grain::Day if is_in(self.day_range()) => self.day_sign(),
            _ => 0,
        }
    }
}

fn month_number(date: BusinessDate) -> i32 {
    let (year, month, _) = date.year_month_day();
    year * 12 + month
}

/// The opening balances of `plan.date`, from rows that cover at least `plan.ranges()`; others are left alone. A currency
/// that has a row anywhere among `rows` is in the answer, even with zero.
pub fn opening(plan: &OpeningPlan, rows: &BTreeMap<RowKey, Balance>) -> Balances {
    let mut balances = Balances::new();
    for (key, balance) in rows {
        *balances.entry(key.currency).or_default() += plan.sign(key) * balance.totals.net();
    }
    balances
}

#[cfg(test)]
mod tests;
