//! Compares what is written and claimed with the oracle's fold: turns the one's names into the other's, and nothing else.

use std::{collections::BTreeSet, sync::LazyLock};

use ledger::{
    Account, AccountKey, Balance, BusinessDate, Currency, Fact, Grain, Kind, Place, RowKey, Tenant, Totals, WindowKey,
};

use super::{
    oracle::{ACCOUNTS, At, CURRENCIES, Day, Listed, Owner, Span, Sums, Truth, fold::version},
    store::Put,
    tables::{OwnerRows, Tables},
};
use crate::{
    commit::JournalChunk,
    notice::{Changed, ChangedAccount, Notice},
};

static ACCOUNT_KEYS: LazyLock<Vec<AccountKey>> = LazyLock::new(|| {
    let parse = |(tenant, account): &(&str, &str)| {
        Some(AccountKey { tenant: Tenant::parse(tenant).ok()?, account: Account::parse(account).ok()? })
    };
    ACCOUNTS.iter().filter_map(parse).collect()
});

static CURRENCY_CODES: LazyLock<Vec<Currency>> =
    LazyLock::new(|| CURRENCIES.iter().filter_map(|(code, _)| Currency::parse(code).ok()).collect());

pub(super) fn account_key(account: usize) -> &'static AccountKey {
    &ACCOUNT_KEYS[account]
}

/// Its index; one past the last for a name that the generator does not know.
pub(super) fn account_of(key: &AccountKey) -> usize {
    index_of_names(&key.tenant, &key.account)
}

fn index_of_names(tenant: &Tenant, account: &Account) -> usize {
    let names = (tenant.as_str(), account.as_str());
    ACCOUNTS.iter().position(|known| *known == names).unwrap_or(ACCOUNTS.len())
}

pub(super) fn currency_of(currency: Currency) -> usize {
    CURRENCIES.iter().position(|(code, _)| *code == currency.code()).unwrap_or(CURRENCIES.len())
}

/// Dates before 1970 are the bounds of ranges only.
pub(super) fn day_of(date: BusinessDate) -> Day {
    Day::after_1970(date.days().max(0))
}

pub(super) fn date_of(day: Day) -> BusinessDate {
    BusinessDate::from_days(day.since_1970()).unwrap_or(BusinessDate::MIN)
}

pub(super) fn at_of(place: Place) -> At {
    (place.sequence, place.line)
}

pub(super) fn place_of((sequence, line): At) -> Place {
    Place { sequence, line }
}

pub(super) fn sums_of(totals: &Totals) -> Sums {
    let Totals { credits, debits, credit_count, debit_count } = *totals;
    Sums { credits, debits, credit_count, debit_count }
}

pub(super) fn span_of(key: &RowKey) -> Span {
    let day = day_of(key.start);
    match key.grain {
        Grain::Day => Span::Day(day),
        Grain::Month => Span::Month(day.year, day.month),
        Grain::Lifetime => Span::Lifetime,
    }
}

fn row_key(span: Span, currency: usize) -> RowKey {
    let (grain, start) = match span {
        Span::Day(day) => (Grain::Day, date_of(day)),
        Span::Month(year, month) => (Grain::Month, date_of(Day::new(year, month, 1))),
        Span::Lifetime => (Grain::Lifetime, BusinessDate::MIN),
    };
    RowKey { grain, start, currency: CURRENCY_CODES[currency] }
}

pub(super) fn window_of(account: usize, day: Day) -> WindowKey {
    let AccountKey { tenant, account } = account_key(account).clone();
    WindowKey { tenant, account, date: date_of(day) }
}

pub(super) fn listed_of(fact: &Fact) -> Listed {
    Listed {
        at: at_of(fact.place),
        is_credit: fact.kind == Kind::Credit,
        minor_units: fact.amount.minor_units(),
        currency: currency_of(fact.currency),
    }
}

/// A damaged account is folded no further, nor are its launches into the roll-ups of its tenant.
fn is_touched(owner: Owner, damaged: &BTreeSet<AccountKey>) -> bool {
    match owner {
        Owner::Account(account) => damaged.contains(account_key(account)),
        Owner::Tenant(tenant) => damaged.iter().any(|account| account.tenant.as_str() == tenant),
    }
}

impl Truth {
    /// Whether a write says what the fold says.
    pub(super) fn check_put(&self, put: &Put) -> Result<(), String> {
        match put {
            Put::Balances(batch) => self.check_rows(Some(Owner::Account(account_of(&batch.key))), &batch.rows),
            Put::Rollups(_, batch) => {
                let known = ACCOUNTS.iter().find(|(tenant, _)| *tenant == batch.tenant.as_str());
                self.check_rows(known.map(|(tenant, _)| Owner::Tenant(tenant)), &batch.rows)
            }
            Put::Journal(chunk) => self.check_chunk(chunk),
            Put::Head(..) | Put::Account(_) | Put::Progress(..) | Put::Checkpoint(..) => Ok(()),
        }
    }

    fn check_rows(&self, owner: Option<Owner>, rows: &[(RowKey, Balance)]) -> Result<(), String> {
        let owner = owner.ok_or_else(|| "a row of somebody who does not exist".to_owned())?;
        for (key, balance) in rows {
            let expected = self.row(&(owner, span_of(key), currency_of(key.currency)), balance.applied);
            if expected != Some((at_of(balance.changed), sums_of(&balance.totals))) {
                return Err(format!("row {owner:?} {key:?} is {balance:?}, the fold says {expected:?}"));
            }
        }
        Ok(())
    }

    fn check_chunk(&self, chunk: &JournalChunk) -> Result<(), String> {
        let WindowKey { tenant, account, date } = &chunk.window;
        let window = (index_of_names(tenant, account), day_of(*date));
        for fact in &chunk.facts {
            let launch = self.counted.get(&at_of(fact.place));
            let is_same = launch.is_some_and(|launch| {
                (launch.account, launch.day) == window
                    && launch.text().as_bytes() == fact.line
                    && is_read_as(fact, launch)
            });
            if !is_same {
                return Err(format!(
                    "the journal of {:?} has a launch at {:?} that does not count",
                    chunk.window, fact.place
                ));
            }
        }
        Ok(())
    }

    /// Whether tables hold everything up to a sequence: rows, journals, accounts. Damaged accounts are passed over.
    pub(super) fn check_complete(
        &self,
        tables: &Tables,
        upto: u64,
        bucket_facts: u64,
        damaged: &BTreeSet<AccountKey>,
    ) -> Result<(), String> {
        self.check_rows_complete(tables, upto, damaged)?;
        for ((account, day), places) in &self.windows {
            let due = &places[..places.partition_point(|(sequence, _)| *sequence <= upto)];
            if due.is_empty() || damaged.contains(account_key(*account)) {
                continue;
            }
            let window = window_of(*account, *day);
            let stored = tables.facts(&window, bucket_facts);
            let is_stored = |at: &At| stored.binary_search_by_key(at, |fact| at_of(fact.place)).is_ok();
            if let Some(at) = due.iter().find(|at| !is_stored(at)) {
                return Err(format!("the journal of {window:?} lacks the launch at {at:?}"));
            }
            let of_tenant = tables.accounts.get(&window.tenant);
            if of_tenant.is_none_or(|accounts| !accounts.contains(&window.account)) {
                return Err(format!("the account of {window:?} is not listed"));
            }
        }
        Ok(())
    }

    fn check_rows_complete(&self, tables: &Tables, upto: u64, damaged: &BTreeSet<AccountKey>) -> Result<(), String> {
        for ((owner, span, currency), versions) in &self.rows {
            let Some((changed, _)) = version(versions, upto).filter(|_| !is_touched(*owner, damaged)) else { continue };
            let stored = self.stored(tables, *owner).and_then(|rows| rows.rows.get(&row_key(*span, *currency)));
            if stored.is_none_or(|stored| stored.applied < changed.0) {
                return Err(format!("row {owner:?} {span:?} lacks the launch at {changed:?}: {stored:?}"));
            }
        }
        Ok(())
    }

    fn stored<'a>(&self, tables: &'a Tables, owner: Owner) -> Option<&'a OwnerRows> {
        match owner {
            Owner::Account(account) => tables.balances.get(account_key(account)),
            Owner::Tenant(tenant) => {
                let is_wanted =
                    |(name, partition): &(Tenant, u16)| name.as_str() == tenant && *partition == self.partition;
                tables.rollups.iter().find(|(key, _)| is_wanted(key)).map(|(_, rows)| rows)
            }
        }
    }

    /// Whether a notice lists every account with an entry in its range, with a date that is early enough.
    pub(super) fn check_notice(&self, notice: &Notice) -> Result<(), String> {
        let Changed::Accounts(listed) = &notice.changed else { return Ok(()) };
        let entries = self.touched.range(notice.from + 1..notice.to.max(notice.from) + 1);
        for (account, day) in entries.flat_map(|(_, entries)| entries) {
            let names = |listed: &&ChangedAccount| {
                index_of_names(&listed.tenant, &listed.account) == *account && day_of(listed.date) <= *day
            };
            if !listed.iter().any(|listed| names(&listed)) {
                return Err(format!("the notice {notice:?} does not list {account:?} from {day:?}"));
            }
        }
        Ok(())
    }
}

/// Whether a line was understood as its author means it.
fn is_read_as(fact: &Fact, launch: &super::oracle::Launch) -> bool {
    let Listed { is_credit, minor_units, currency, .. } = listed_of(fact);
    (is_credit, minor_units, currency) == (launch.is_credit, launch.minor_units, launch.currency)
}
