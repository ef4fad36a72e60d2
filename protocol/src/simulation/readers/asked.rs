//! What readers ask for, and what they get.

use std::collections::BTreeMap;

use ledger::{AccountKey, Balance, BusinessDate, DayLine, DaysPlan, Grain, Place, RowKey, WindowKey};
use rand::{RngExt, rngs::StdRng};

use super::ReaderRules;
use crate::{
    query::{EntryKey, Horizon, Stamp},
    simulation::{
        judge::{currency_of, day_of, listed_of, sums_of},
        log::pick,
        oracle::{Day, DayTotals, DaysPage, LaunchesPage},
        store::requests::{Asks, Reading, launches, view},
    },
    store_reading::page::Wanted,
};

/// Which answer about an account; the last date that it depends on stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Asked {
    /// A page of days.
    Days { from: BusinessDate, with_empty: bool, limit: usize },
    /// Everything.
    Balance,
    /// A page of a day's launches.
    Launches { after: Option<Place>, limit: usize },
}

/// What is asked for, and until when.
pub(crate) type Key = EntryKey<Asked>;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(super) applied: Option<u64>,
    /// To be applied before this may be answered.
    pub(super) waits_for: Option<u64>,
    /// When its read began, nothing was left that said how far rows reach: see `Query::nobody_knows`.
    pub(super) nobody_knew: bool,
    pub(super) content: Content,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nobody has heard of the account.
    Unknown,
    Days(DaysPage),
    Balance(BTreeMap<usize, i128>),
    Launches(LaunchesPage),
}

/// Launches of one request; a page of an answer may take several.
const LAUNCHES_AT_ONCE: usize = 2;
/// The longest range of days.
const MOST_DAYS: i32 = 70;

/// One day, as most ask.
pub(super) fn one_day(account: AccountKey, date: BusinessDate) -> Key {
    EntryKey { account, until: date, representation: Asked::Days { from: date, with_empty: true, limit: 1 } }
}

/// Anything about an account, around some date.
pub(super) fn anything(rng: &mut StdRng, account: AccountKey, date: BusinessDate, dates: &[BusinessDate]) -> Key {
    match rng.random_range(0..100) {
        0..30 => one_day(account, date),
        30..45 => EntryKey { account, until: BusinessDate::MAX, representation: Asked::Balance },
        45..60 => {
            let is_near = |from: &&BusinessDate| (0..MOST_DAYS).contains(&(date.days() - from.days()));
            let from = dates.iter().filter(is_near).copied().min().unwrap_or(date);
            let representation =
                Asked::Days { from, with_empty: rng.random_bool(0.3), limit: *pick(rng, &[1, 2, 100]) };
            EntryKey { account, until: date, representation }
        }
        _ => {
            let representation = Asked::Launches { after: None, limit: *pick(rng, &[1, 2, 3, 100]) };
            EntryKey { account, until: date, representation }
        }
    }
}

/// What a fill is begun with.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) key: Key,
    pub(super) stamp: Stamp,
    pub(super) horizon: Horizon,
    pub(super) nobody_knew: bool,
}

/// Reads what is asked for, in the order in which a query reads it.
pub(super) async fn read(asks: impl Asks, reading: Reading, ticket: &Ticket, rules: ReaderRules) -> Value {
    let Ticket { key, stamp, horizon, nobody_knew } = ticket;
    let known = |applied: Option<u64>, content| Value {
        applied,
        waits_for: horizon.waits_for(applied),
        nobody_knew: *nobody_knew,
        content: if applied.is_some() { content } else { Content::Unknown },
    };
    match key.representation {
        Asked::Days { from, with_empty, limit } => {
            let plan = DaysPlan::new(from, key.until, today(*stamp));
            let (applied, rows) = view(&asks, reading, &key.account, &plan.ranges()).await;
            let days = days_page(&plan.lines(&rows.into_iter().collect(), with_empty), limit);
            known(applied, Content::Days(days))
        }
        Asked::Balance => {
            let lifetime = [(Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN)];
            let (applied, rows) = view(&asks, reading, &key.account, &lifetime).await;
            known(applied, Content::Balance(rows.iter().map(of_currency).collect()))
        }
        Asked::Launches { after, limit } if rules.journal_after_rows => {
            let (applied, _) = view(&asks, reading, &key.account, &[]).await;
            let upto = if rules.facts_above_are_ignored { horizon.upto(applied) } else { u64::MAX };
            known(applied, launches_page(&asks, reading, key, Wanted { after, upto, limit }).await)
        }
        Asked::Launches { after, limit } => {
            let upto = u64::MAX;
            let content = launches_page(&asks, reading, key, Wanted { after, upto, limit }).await;
            known(view(&asks, reading, &key.account, &[]).await.0, content)
        }
    }
}

fn today(stamp: Stamp) -> BusinessDate {
    let days = i32::try_from(stamp.time_ms / DAY_MS).unwrap_or(0);
    BusinessDate::from_days(days).unwrap_or(BusinessDate::MIN)
}

const DAY_MS: i64 = 86_400_000;

fn of_currency((key, balance): &(RowKey, Balance)) -> (usize, i128) {
    (currency_of(key.currency), balance.totals.net())
}

fn days_page(lines: &[DayLine], limit: usize) -> DaysPage {
    let days = lines.iter().take(limit).map(day).collect();
    DaysPage { days, next: lines.get(limit).map(|line| day_of(line.date)) }
}

fn day(line: &DayLine) -> (Day, BTreeMap<usize, DayTotals>) {
    let totals = line.currencies.iter().map(|line| {
        let totals = DayTotals { opening: line.opening, sums: sums_of(&line.totals), closing: line.closing };
        (currency_of(line.currency), totals)
    });
    (day_of(line.date), totals.collect())
}

async fn launches_page(asks: &impl Asks, reading: Reading, key: &Key, wanted: Wanted) -> Content {
    let AccountKey { tenant, account } = key.account.clone();
    let window = WindowKey { tenant, account, date: key.until };
    let mut page = LaunchesPage { launches: Vec::new(), more: true };
    let mut after = wanted.after;
    while page.more && page.launches.len() < wanted.limit {
        let limit = LAUNCHES_AT_ONCE.min(wanted.limit - page.launches.len());
        let read = launches(asks, reading, &window, Wanted { after, limit, ..wanted }).await;
        page.more = read.more && !read.facts.is_empty();
        after = read.facts.last().map(|fact| fact.place).or(after);
        page.launches.extend(read.facts.iter().map(listed_of));
    }
    Content::Launches(page)
}
