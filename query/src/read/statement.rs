//! Days and balances: rows of one account, read at one moment, as opening balance, totals and closing balance.

use std::{collections::BTreeSet, fmt::Write as _};

use ledger::{
    AccountKey, Balance, BusinessDate, Currency, CurrencyLine, DayLine, DaysPlan, Grain, RowKey, Totals,
    format_minor_units,
};
use protocol::log::LogName;
use store::{AccountRead, Store, StoreError};

use crate::http::{answer::Written, cursor};

/// Which days of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) from: BusinessDate,
    pub(super) to: BusinessDate,
    pub(super) include_empty: bool,
    pub(super) limit: u16,
}

/// Lines of currencies that are computed and written without a pause: well within a millisecond.
const LINES_AT_ONCE: usize = 2_000;

/// Days of an account, as its rows at `applied` give them.
struct Statement {
    applied: u64,
    lines: Vec<DayLine>,
}

/// One day, open at the end for the stamp.
pub(super) async fn day(
    store: &dyn Store,
    account: &AccountKey,
    date: BusinessDate,
    today: BusinessDate,
) -> Result<Option<Written>, StoreError> {
    let page = Page { from: date, to: date, include_empty: true, limit: 1 };
    Ok(render(read(store, account, page, today).await?, write_one_day).await)
}

fn write_one_day(read: Read) -> Written {
    let (account, Statement { applied, lines }) = (read.account.clone(), statement(read));
    let mut json = String::with_capacity(256);
    for line in lines.iter().take(1) {
        write_day(&mut json, &account, line);
    }
    json.push(',');
    Written { json, takes_stamp: true, applied }
}

/// A page of days.
pub(super) async fn days(
    store: &dyn Store,
    log: LogName,
    account: &AccountKey,
    page: &Page,
    today: BusinessDate,
) -> Result<Option<Written>, StoreError> {
    Ok(render(read(store, account, *page, today).await?, move |read| write_days(log, read)).await)
}

fn write_days(log: LogName, read: Read) -> Written {
    let (account, page) = (read.account.clone(), read.page);
    let Statement { applied, lines } = statement(read);
    let limit = usize::from(page.limit);
    let mut json = String::from("{\"items\":[");
    for (index, line) in lines.iter().take(limit).enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        write_day(&mut json, &account, line);
        json.push('}');
    }
    let next = lines.get(limit).map(|line| cursor::of_day(log, &account, page.to, line.date));
    write_end(&mut json, next.as_deref());
    Written { json, takes_stamp: false, applied }
}

/// Writes what was read: at once, or, where it may take longer than a moment, on a thread that nobody waits for. There are no
/// more of these threads than reads of the store.
async fn render(read: Option<Read>, write: impl FnOnce(Read) -> Written + Send + 'static) -> Option<Written> {
    let read = read?;
    if read.is_short() {
        return Some(write(read));
    }
    match tokio::task::spawn_blocking(move || write(read)).await {
        Ok(written) => Some(written),
        // Only by a fault of its own, or when the process ends.
        Err(error) => match error.try_into_panic() {
            Ok(fault) => std::panic::resume_unwind(fault),
            Err(_ending) => std::future::pending().await,
        },
    }
}

/// Everything that is applied, by currency, open at the end for the stamp.
pub(super) async fn balance(store: &dyn Store, account: &AccountKey) -> Result<Option<Written>, StoreError> {
    let read =
        AccountRead { key: account.clone(), ranges: vec![(Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN)] };
    let view = store.account_view(&read).await?;
    let Some(applied) = view.applied else { return Ok(None) };
    let mut json = format!("{{\"account\":\"{}\",\"currencies\":[", account.account);
    for (index, (key, row)) in view.rows.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let (code, total) = (key.currency.code(), format_minor_units(row.totals.net(), key.currency));
        let _written = write!(json, "{separator}{{\"currency\":\"{code}\",\"balance\":\"{total}\"}}");
    }
    json.push_str("],");
    Ok(Some(Written { json, takes_stamp: true, applied }))
}

/// Ends a list: `],"next":…}`.
pub(super) fn write_end(json: &mut String, next: Option<&str>) {
    let _written = match next {
        Some(cursor) => write!(json, "],\"next\":\"{cursor}\"}}"),
        None => write!(json, "],\"next\":null}}"),
    };
}

/// The rows of a page, read at one moment.
struct Read {
    account: AccountKey,
    page: Page,
    plan: DaysPlan,
    applied: u64,
    rows: Vec<(RowKey, Balance)>,
}

impl Read {
    /// Whether it takes no longer than a moment to write: a day lists each currency at most once.
    fn is_short(&self) -> bool {
        let days = usize::try_from(self.page.to.days() - self.page.from.days()).unwrap_or(usize::MAX).saturating_add(1);
        self.rows.len() <= LINES_AT_ONCE && {
            let currencies: BTreeSet<Currency> = self.rows.iter().map(|(key, _)| key.currency).collect();
            currencies.len().saturating_mul(days) <= LINES_AT_ONCE
        }
    }
}

/// Reads the rows. `None` for an account never seen.
async fn read(
    store: &dyn Store,
    account: &AccountKey,
    page: Page,
    today: BusinessDate,
) -> Result<Option<Read>, StoreError> {
    let plan = DaysPlan::new(page.from, page.to, today);
    let view = store.account_view(&AccountRead { key: account.clone(), ranges: plan.ranges() }).await?;
    let Some(applied) = view.applied else { return Ok(None) };
    Ok(Some(Read { account: account.clone(), page, plan, applied, rows: view.rows }))
}

/// Computes the days.
fn statement(read: Read) -> Statement {
    let Read { page, plan, applied, rows, .. } = read;
    Statement { applied, lines: plan.lines(&rows.into_iter().collect(), page.include_empty) }
}

/// Writes a day without its closing brace.
fn write_day(json: &mut String, account: &AccountKey, line: &DayLine) {
    let (account, date) = (&account.account, line.date);
    let _written = write!(json, "{{\"account\":\"{account}\",\"date\":\"{date}\",\"status\":\"open\",\"currencies\":[");
    for (index, currency) in line.currencies.iter().enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        write_currency(json, currency);
    }
    json.push(']');
}

fn write_currency(json: &mut String, line: &CurrencyLine) {
    let money = |total: i128| format_minor_units(total, line.currency);
    let Totals { credits, debits, credit_count, debit_count } = line.totals;
    let _written = write!(
        json,
        "{{\"currency\":\"{}\",\"opening\":\"{}\",\"credits\":\"{}\",\"debits\":\"{}\",\"credit_count\":{credit_count},\
         \"debit_count\":{debit_count},\"closing\":\"{}\"}}",
        line.currency.code(),
        money(line.opening),
        money(credits),
        money(debits),
        money(line.closing),
    );
}
