//! Balance and roll-up rows.

use std::sync::Arc;

use ledger::{Balance, BusinessDate, Grain, RowKey, Totals};
use protocol::{
    commit::PartitionState,
    load::{LoadRequest, Loaded, RowsLoaded, WindowLoaded},
};

use super::{
    Checked, Factory, Failure, check, check_equal,
    sample::{
        ALL_RANGES, LANE, account_batch, account_key, all_rows, balance, commit, currency, date, rollup_batch, row,
        rows_loaded, rows_wanted, stamped, tenant, window, windows_wanted,
    },
};
use crate::{AccountRead, AccountView, LaunchesPage, Store};

const DAY: &str = "2026-11-22";

/// Day, month and lifetime row of a day.
fn rows_of_day() -> Result<[RowKey; 3], Failure> {
    Ok([row(Grain::Day, DAY, "BRL")?, row(Grain::Month, DAY, "BRL")?, row(Grain::Lifetime, DAY, "BRL")?])
}

pub(super) async fn empty(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let (key, on) = (account_key("acme", "a")?, date(DAY)?);
    check_equal("partition", &store.partition_state(LANE).await?, &PartitionState::default())?;
    check_equal("account", &store.account_view(&all_rows(&key)).await?, &AccountView::default())?;
    check_equal("accounts", &store.accounts(&key.tenant, None, 10).await?, &Vec::new())?;
    let page = store.launches(&window(&key, on), None, u64::MAX, 10).await?;
    check_equal("launches", &page, &LaunchesPage::default())?;
    let none = RowsLoaded { owner: key.tenant.clone(), applied: None, rows: Vec::new() };
    check_equal("roll-up", &store.rollup_view(&key.tenant, LANE, &ALL_RANGES).await?, &none)?;
    let incarnation = store.incarnation();
    check_equal("load of nothing", &store.load(incarnation, LANE, &LoadRequest::default()).await?, &Loaded::default())?;
    let mut request = windows_wanted(&[window(&key, on)]);
    request.accounts.push(rows_wanted(key.clone(), &[on], &[]));
    request.tenants.push(rows_wanted(key.tenant.clone(), &[on], &[]));
    let expected = Loaded {
        windows: vec![WindowLoaded { window: window(&key, on), entries: Vec::new() }],
        tenants: vec![none],
        accounts: vec![RowsLoaded { owner: key, applied: None, rows: Vec::new() }],
    };
    check_equal("load", &store.load(incarnation, LANE, &request).await?, &expected)
}

/// Writes an account's rows of a day, all stamped so.
async fn write_account(store: &dyn Store, stamp: u64, rows: &[RowKey]) -> Checked {
    let mut commit = commit(store, stamp);
    commit.balances.push(account_batch(&account_key("acme", "a")?, stamp, rows));
    Ok(store.commit(store.incarnation(), &Arc::new(commit)).await?)
}

async fn write_rollup(store: &dyn Store, stamp: u64, rows: &[RowKey]) -> Checked {
    let mut commit = commit(store, stamp);
    commit.rollups.push(rollup_batch(&tenant("acme")?, stamp, rows));
    Ok(store.commit(store.incarnation(), &Arc::new(commit)).await?)
}

/// Stamps to write, and the one that must stand afterwards: newer, older, equal.
const STAMPS: [(u64, u64); 6] = [(10, 10), (5, 10), (10, 10), (20, 20), (19, 20), (21, 21)];

pub(super) async fn newer_balance_wins(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let rows = rows_of_day()?;
    for (stamp, standing) in STAMPS {
        write_account(&*store, stamp, &rows).await?;
        let view = store.account_view(&all_rows(&account_key("acme", "a")?)).await?;
        let expected = AccountView { applied: Some(standing), rows: stamped(standing, &rows) };
        check_equal(format_args!("after stamp {stamp}"), &view, &expected)?;
    }
    Ok(())
}

pub(super) async fn newer_rollup_wins(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let rows = rows_of_day()?;
    for (stamp, standing) in STAMPS {
        write_rollup(&*store, stamp, &rows).await?;
        let view = store.rollup_view(&tenant("acme")?, LANE, &ALL_RANGES).await?;
        let expected = rows_loaded(tenant("acme")?, standing, stamped(standing, &rows));
        check_equal(format_args!("after stamp {stamp}"), &view, &expected)?;
    }
    Ok(())
}

pub(super) async fn stale_adds_missing(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let (present, missing) = (row(Grain::Day, DAY, "BRL")?, row(Grain::Day, DAY, "USD")?);
    write_account(&*store, 20, &[present]).await?;
    write_account(&*store, 7, &[present, missing]).await?;
    write_rollup(&*store, 20, &[present]).await?;
    write_rollup(&*store, 7, &[present, missing]).await?;
    let rows = vec![(present, balance(20)), (missing, balance(7))];
    let view = store.account_view(&all_rows(&account_key("acme", "a")?)).await?;
    check_equal("account", &view, &AccountView { applied: Some(20), rows: rows.clone() })?;
    let view = store.rollup_view(&tenant("acme")?, LANE, &ALL_RANGES).await?;
    check_equal("roll-up", &view, &rows_loaded(tenant("acme")?, 20, rows))
}

pub(super) async fn loads_what_is_wanted(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let mut all = Vec::new();
    for on in ["2026-10-31", "2026-11-21", "2026-11-22", "2026-11-23"] {
        for code in ["USD", "BRL"] {
            all.push(row(Grain::Day, on, code)?);
        }
    }
    for code in ["USD", "BRL"] {
        all.extend([
            row(Grain::Month, "2026-10-01", code)?,
            row(Grain::Month, DAY, code)?,
            row(Grain::Lifetime, DAY, code)?,
        ]);
    }
    write_account(&*store, 4, &all).await?;
    write_rollup(&*store, 5, &all).await?;
    let (days, months) = ([date("2026-11-20")?, date("2026-11-22")?], [date("2026-11-01")?]);
    let wanted = |key: &RowKey| match key.grain {
        Grain::Day => days.contains(&key.start),
        Grain::Month => months.contains(&key.start),
        Grain::Lifetime => true,
    };
    let wanted: Vec<RowKey> = all.iter().copied().filter(wanted).collect();
    let (key, owner) = (account_key("acme", "a")?, tenant("acme")?);
    let unknown = account_key("acme", "b")?;
    let request = LoadRequest {
        accounts: vec![rows_wanted(unknown.clone(), &days, &months), rows_wanted(key.clone(), &days, &months)],
        tenants: vec![rows_wanted(owner.clone(), &days, &months)],
        windows: Vec::new(),
    };
    let expected = Loaded {
        accounts: vec![
            RowsLoaded { owner: unknown, applied: None, rows: Vec::new() },
            rows_loaded(key.clone(), 4, stamped(4, &wanted)),
        ],
        tenants: vec![rows_loaded(owner, 5, stamped(5, &wanted))],
        windows: Vec::new(),
    };
    check_equal("load", &store.load(store.incarnation(), LANE, &request).await?, &expected)?;
    let mut nothing = rows_wanted(key.clone(), &[], &[]);
    nothing.lifetime = false;
    let request = LoadRequest { accounts: vec![nothing], ..LoadRequest::default() };
    let loaded = store.load(store.incarnation(), LANE, &request).await?;
    check_equal("load without rows", &loaded.accounts, &vec![rows_loaded(key, 4, Vec::new())])
}

pub(super) async fn ranges(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let days = ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"];
    let mut all = vec![row(Grain::Month, DAY, "BRL")?];
    for day in days {
        all.extend([row(Grain::Day, day, "BRL")?, row(Grain::Day, day, "JPY")?]);
    }
    write_account(&*store, 9, &all).await?;
    let (first, last) = (date("2026-11-21")?, date("2026-11-23")?);
    let cases = [
        (vec![(Grain::Day, first, last)], 6),
        (vec![(Grain::Day, first, first)], 2),
        (vec![(Grain::Day, first, last), (Grain::Day, date("2026-11-22")?, date("2026-11-24")?)], 8),
        (vec![(Grain::Day, first, first), (Grain::Day, first, last), (Grain::Day, first, first)], 6),
        (vec![(Grain::Day, last, first)], 0),
        (vec![(Grain::Month, first, last)], 0),
        (vec![(Grain::Month, BusinessDate::MIN, last), (Grain::Day, last, last)], 3),
        (vec![], 0),
    ];
    for (ranges, count) in cases {
        let inside = |key: &RowKey| {
            ranges.iter().any(|(grain, from, to)| key.grain == *grain && key.start >= *from && key.start <= *to)
        };
        let expected: Vec<RowKey> = all.iter().copied().filter(inside).collect();
        let view = store.account_view(&AccountRead { key: account_key("acme", "a")?, ranges: ranges.clone() }).await?;
        check_equal(format_args!("{ranges:?}"), &view.rows, &stamped(9, &expected))?;
        check_equal("count", &view.rows.len(), &count)?;
    }
    Ok(())
}

/// More rows than a server sends at once, and more starts than a statement may name.
pub(super) async fn many_days(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let key = account_key("acme", "a")?;
    let first = date("2010-01-01")?.days();
    let days: Vec<BusinessDate> = (first..first + 4_200).filter_map(BusinessDate::from_days).collect();
    let mut expected = Vec::new();
    for (part, stamp) in days.chunks(1_400).zip(1..) {
        let code = currency("BRL")?;
        let rows: Vec<RowKey> =
            part.iter().map(|start| RowKey { grain: Grain::Day, start: *start, currency: code }).collect();
        write_account(&*store, stamp, &rows).await?;
        expected.extend(stamped(stamp, &rows));
    }
    let view = store.account_view(&all_rows(&key)).await?;
    check_equal("all days", &view.rows.len(), &expected.len())?;
    check(view.rows == expected, "the days are not those that were written")?;
    for (from, to) in [(0, 4_095), (0, 4_096), (1, 4_097), (4_095, 4_096), (1_399, 1_400)] {
        let ranges = vec![(Grain::Day, days[from], days[to])];
        let view = store.account_view(&AccountRead { key: key.clone(), ranges }).await?;
        check(view.rows == expected[from..=to], format_args!("days {from} to {to} are not those that were written"))?;
    }
    for count in [100, 101, 250] {
        let mut wanted = rows_wanted(key.clone(), &days[..count], &[]);
        wanted.lifetime = false;
        let request = LoadRequest { accounts: vec![wanted], ..LoadRequest::default() };
        let loaded = store.load(store.incarnation(), LANE, &request).await?.accounts;
        let rows = loaded.into_iter().flat_map(|loaded| loaded.rows).collect::<Vec<_>>();
        check(rows == expected[..count], format_args!("{count} days are not loaded as they were written"))?;
    }
    Ok(())
}

pub(super) async fn early_dates(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let days = ["1900-01-01", "1969-12-31", "1970-01-01", "1970-01-02", "2199-12-31"];
    let all = days.iter().map(|day| row(Grain::Day, day, "BRL")).collect::<Result<Vec<_>, _>>()?;
    write_account(&*store, 2, &all).await?;
    let key = account_key("acme", "a")?;
    let view = store.account_view(&all_rows(&key)).await?;
    check_equal("all", &view.rows, &stamped(2, &all))?;
    let ranges = vec![(Grain::Day, date("1969-12-31")?, date("1970-01-01")?)];
    let view = store.account_view(&AccountRead { key: key.clone(), ranges }).await?;
    check_equal("around 1970", &view.rows, &stamped(2, &all[1..3]))?;
    let bounds = [BusinessDate::MIN, BusinessDate::MAX];
    let request = LoadRequest { accounts: vec![rows_wanted(key, &bounds, &[])], ..LoadRequest::default() };
    let loaded = store.load(store.incarnation(), LANE, &request).await?;
    let rows = loaded.accounts.first().map(|loaded| loaded.rows.clone()).unwrap_or_default();
    check_equal("bounds", &rows, &stamped(2, &[all[0], all[4]]))
}

pub(super) async fn huge_totals(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let key = account_key("acme", "a")?;
    let mut commit = commit(&*store, 1);
    let mut rows = Vec::new();
    for (day, credits) in [("2026-11-20", 1_i128 << 64), ("2026-11-21", i128::MAX), ("2026-11-22", i128::MAX / 10 + 7)]
    {
        let totals = Totals { credits, debits: credits - 1, credit_count: u64::MAX >> 1, debit_count: 1 << 63 };
        rows.push((row(Grain::Day, day, "BRL")?, Balance { totals, ..balance(1) }));
    }
    let mut batch = account_batch(&key, 1, &[]);
    batch.rows.clone_from(&rows);
    commit.balances.push(batch);
    store.commit(store.incarnation(), &Arc::new(commit)).await?;
    check_equal("totals", &store.account_view(&all_rows(&key)).await?.rows, &rows)
}

pub(super) async fn lanes_are_apart(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let rows = rows_of_day()?;
    let owner = tenant("acme")?;
    for (partition, stamp) in [(0, 5), (1, 9), (256, 7)] {
        let mut commit = commit(&*store, stamp);
        commit.partition = partition;
        commit.rollups.push(rollup_batch(&owner, stamp, &rows));
        store.commit(store.incarnation(), &Arc::new(commit)).await?;
    }
    for (partition, stamp) in [(0, 5), (1, 9), (256, 7)] {
        let expected = rows_loaded(owner.clone(), stamp, stamped(stamp, &rows));
        check_equal(partition, &store.rollup_view(&owner, partition, &ALL_RANGES).await?, &expected)?;
        let days = [date(DAY)?];
        let request = LoadRequest { tenants: vec![rows_wanted(owner.clone(), &days, &[])], ..LoadRequest::default() };
        let loaded = store.load(store.incarnation(), partition, &request).await?;
        let expected = rows_loaded(owner.clone(), stamp, stamped(stamp, &[rows[0], rows[2]]));
        check_equal(partition, &loaded.tenants, &vec![expected])?;
        check_equal(
            "progress",
            &store.partition_state(partition).await?.progress.map(|progress| progress.sequence),
            &Some(stamp),
        )?;
    }
    check_equal("currency", &rows[0].currency, &currency("BRL")?)
}
