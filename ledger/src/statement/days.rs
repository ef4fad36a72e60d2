//! Days in a row, each opened by the day before.

use std::collections::BTreeMap;

use super::Balances;
use crate::{Balance, BusinessDate, Currency, Grain, Place, RowKey, Totals};

/// One currency on one day, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyLine {
    /// The currency.
    pub currency: Currency,
    /// Balance before the day's launches.
    pub opening: i128,
    /// What the day brought.
    pub totals: Totals,
    /// Balance after them.
    pub closing: i128,
}

/// A day with all currencies of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayLine {
    /// The day.
    pub date: BusinessDate,
    /// Every currency that the account has, by code, also those without launches on this day.
    pub currencies: Vec<CurrencyLine>,
    /// Place of the last launch that changed a row of this day, or `None` for a day without launches.
    pub changed: Option<Place>,
}

/// The days from `from` to `to`, both included, without those that have no launches unless `include_empty`.
///
/// `opening` holds the opening balances of `from`, as [`super::opening`] gives them; `rows` the day rows from `from` to `to`
/// at least, others are left alone. A currency without opening balance opens with zero. Bounding the range is the
/// caller's matter; there is none if `to` lies before `from`.
pub fn days(
    from: BusinessDate,
    to: BusinessDate,
    opening: &Balances,
    rows: &BTreeMap<RowKey, Balance>,
    include_empty: bool,
) -> Vec<DayLine> {
    let mut rows_of_days = rows_by_day(from, to, rows);
    let mut balances = opening.clone();
    for currency in rows_of_days.values().flat_map(BTreeMap::keys) {
        balances.entry(*currency).or_default();
    }
    let mut lines = Vec::new();
    for date in (from.days()..=to.days()).filter_map(BusinessDate::from_days) {
        let rows_of_day = rows_of_days.remove(&date).unwrap_or_default();
        if include_empty || !rows_of_day.is_empty() {
            lines.push(day_line(date, &mut balances, &rows_of_day));
        }
    }
    lines
}

/// The day rows with launches, by day and currency.
fn rows_by_day(
    from: BusinessDate,
    to: BusinessDate,
    rows: &BTreeMap<RowKey, Balance>,
) -> BTreeMap<BusinessDate, BTreeMap<Currency, Balance>> {
    let mut by_day: BTreeMap<BusinessDate, BTreeMap<Currency, Balance>> = BTreeMap::new();
    for (key, balance) in rows {
        let is_asked = key.grain == Grain::Day && key.start >= from && key.start <= to && balance.totals.count() > 0;
        if is_asked {
            by_day.entry(key.start).or_default().insert(key.currency, *balance);
        }
    }
    by_day
}

/// One day; carries the balances over it.
fn day_line(date: BusinessDate, balances: &mut Balances, rows: &BTreeMap<Currency, Balance>) -> DayLine {
    let currency_line = |(currency, balance): (&Currency, &mut i128)| {
        let totals = rows.get(currency).map(|row| row.totals).unwrap_or_default();
        let opening = *balance;
        *balance += totals.net();
        CurrencyLine { currency: *currency, opening, totals, closing: *balance }
    };
    let currencies = balances.iter_mut().map(currency_line).collect();
    DayLine { date, currencies, changed: rows.values().map(|row| row.changed).max() }
}
