//! What readers are to be told, computed launch by launch.

use std::collections::BTreeMap;

use super::{At, Day, Launch, Sums, Truth};

/// One currency of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayTotals {
    pub(crate) opening: i128,
    pub(crate) sums: Sums,
    pub(crate) closing: i128,
}

/// Some days in a row, and the day with which the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DaysPage {
    pub(crate) days: Vec<(Day, BTreeMap<usize, DayTotals>)>,
    pub(crate) next: Option<Day>,
}

/// A launch of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) at: At,
    pub(crate) is_credit: bool,
    pub(crate) minor_units: i64,
    pub(crate) currency: usize,
}

/// Some launches of a day, and whether there are more behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaunchesPage {
    pub(crate) launches: Vec<Listed>,
    pub(crate) more: bool,
}

/// Launches of one account that an answer is made from.
pub(crate) type Counted<'a> = Vec<(At, &'a Launch)>;

impl Truth {
    /// Launches of an account that count, up to a sequence.
    pub(crate) fn counted_of(&self, account: usize, upto: u64) -> Counted<'_> {
        let upto = self.counted.range(..=(upto, u32::MAX));
        upto.filter(|(_, launch)| launch.account == account).map(|(at, launch)| (*at, launch)).collect()
    }
}

/// What the days of a range brought, at most `limit` of them; those without launches only if they are asked for. A day names
/// the currencies that had a launch by then.
pub(crate) fn days(counted: &Counted<'_>, (from, to): (Day, Day), with_empty: bool, limit: usize) -> DaysPage {
    let mut page = DaysPage::default();
    let mut day = from;
    while day <= to {
        let is_listed = with_empty || counted.iter().any(|(_, launch)| launch.day == day);
        if is_listed && page.days.len() == limit {
            page.next = Some(day);
            return page;
        }
        if is_listed {
            page.days.push((day, totals(counted, day)));
        }
        day = day.next();
    }
    page
}

fn totals(counted: &Counted<'_>, day: Day) -> BTreeMap<usize, DayTotals> {
    let mut totals = BTreeMap::new();
    for (_, launch) in counted.iter().filter(|(_, launch)| launch.day <= day) {
        let zero = DayTotals { opening: 0, sums: Sums::default(), closing: 0 };
        let of_currency = totals.entry(launch.currency).or_insert(zero);
        of_currency.closing += signed(launch);
        if launch.day < day {
            of_currency.opening += signed(launch);
        } else {
            of_currency.sums.add(launch);
        }
    }
    totals
}

/// Everything, by currency.
pub(crate) fn balance(counted: &Counted<'_>) -> BTreeMap<usize, i128> {
    let mut balance = BTreeMap::new();
    for (_, launch) in counted {
        *balance.entry(launch.currency).or_default() += signed(launch);
    }
    balance
}

/// A day's launches behind a place, at most `limit`.
pub(crate) fn launches(counted: &Counted<'_>, day: Day, after: Option<At>, limit: usize) -> LaunchesPage {
    let is_wanted = |(at, launch): &&(At, &Launch)| launch.day == day && after.is_none_or(|after| *at > after);
    let mut launches: Vec<Listed> = counted.iter().filter(is_wanted).map(|(at, launch)| listed(*at, launch)).collect();
    let more = launches.len() > limit;
    launches.truncate(limit);
    LaunchesPage { launches, more }
}

fn listed(at: At, launch: &Launch) -> Listed {
    Listed { at, is_credit: launch.is_credit, minor_units: launch.minor_units, currency: launch.currency }
}

fn signed(launch: &Launch) -> i128 {
    let minor_units = i128::from(launch.minor_units);
    if launch.is_credit { minor_units } else { -minor_units }
}
