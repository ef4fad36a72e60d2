//! Names of tenants and accounts: order, pages, and what is not to be mixed up.

use std::sync::Arc;

use ledger::{Account, AccountKey, Grain, Tenant};

use super::{
    Checked, Factory, Failure, check_equal,
    sample::{
        ALL_RANGES, LANE, account, account_batch, account_key, all_rows, chunk, commit, date, entry, facts,
        rollup_batch, row, rows_loaded, stamped, tenant, window, windows_wanted,
    },
};
use crate::{AccountView, Store};

const DAY: &str = "2026-11-22";

/// Writes a row, a launch, a roll-up and the name of an account, all known by `stamp`.
async fn write(store: &dyn Store, key: &AccountKey, stamp: u64) -> Checked {
    let rows = [row(Grain::Day, DAY, "BRL")?];
    let mut commit = commit(store, stamp);
    commit.journal.push(chunk(&window(key, date(DAY)?), facts([stamp])?));
    commit.accounts.push(key.clone());
    commit.balances.push(account_batch(key, stamp, &rows));
    commit.rollups.push(rollup_batch(&key.tenant, stamp, &rows));
    Ok(store.commit(store.incarnation(), &Arc::new(commit)).await?)
}

async fn check_account(store: &dyn Store, key: &AccountKey, stamp: u64) -> Checked {
    let rows = [row(Grain::Day, DAY, "BRL")?];
    let expected = AccountView { applied: Some(stamp), rows: stamped(stamp, &rows) };
    check_equal(format_args!("rows of {key:?}"), &store.account_view(&all_rows(key)).await?, &expected)?;
    let window = window(key, date(DAY)?);
    let page = store.launches(&window, None, u64::MAX, 10).await?;
    check_equal(format_args!("launches of {key:?}"), &page.facts, &facts([stamp])?)?;
    let loaded = store.load(store.incarnation(), LANE, &windows_wanted(&[window])).await?;
    let entries: Vec<_> = loaded.windows.into_iter().flat_map(|loaded| loaded.entries).collect();
    check_equal(format_args!("journal of {key:?}"), &entries, &facts([stamp])?.iter().map(entry).collect())
}

pub(super) async fn similar_names(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let names = ["a", "a-", "a-b", "ab", "A", "a0", "a_", "b"];
    let mut stamp = 0;
    let mut written = Vec::new();
    for tenant in names {
        for account in names {
            stamp += 1;
            let key = account_key(tenant, account)?;
            write(&*store, &key, stamp).await?;
            written.push((key, stamp));
        }
    }
    for (key, stamp) in &written {
        check_account(&*store, key, *stamp).await?;
    }
    let mut accounts = names.iter().map(|name| account(name)).collect::<Result<Vec<_>, _>>()?;
    accounts.sort();
    for name in names {
        let tenant = tenant(name)?;
        check_equal(name, &store.accounts(&tenant, None, 100).await?, &accounts)?;
        let newest =
            written.iter().filter(|(key, _)| key.tenant == tenant).map(|(_, stamp)| *stamp).max().unwrap_or_default();
        let expected = rows_loaded(tenant.clone(), newest, stamped(newest, &[row(Grain::Day, DAY, "BRL")?]));
        check_equal(name, &store.rollup_view(&tenant, LANE, &ALL_RANGES).await?, &expected)?;
    }
    Ok(())
}

pub(super) async fn longest_names(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let long = "z".repeat(64);
    let longest = [account_key(&long, &long)?, account_key(&long, &long[1..])?, account_key(&long[1..], &long)?];
    for (key, stamp) in longest.iter().zip(1..) {
        write(&*store, key, stamp).await?;
    }
    for (key, stamp) in longest.iter().zip(1..) {
        check_account(&*store, key, stamp).await?;
    }
    let names = vec![account(&long[1..])?, account(&long)?];
    check_equal("accounts", &store.accounts(&tenant(&long)?, None, 10).await?, &names)
}

/// All accounts of a tenant, page by page.
async fn all_accounts(store: &dyn Store, tenant: &Tenant, limit: usize) -> Result<Vec<Account>, Failure> {
    let mut all: Vec<Account> = Vec::new();
    loop {
        let page = store.accounts(tenant, all.last(), limit).await?;
        if page.is_empty() {
            return Ok(all);
        }
        super::check(page.len() <= limit, "a page is longer than its limit")?;
        all.extend(page);
    }
}

pub(super) async fn account_pages(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let mut names = Vec::new();
    for name in ["till-10", "till-1", "till-2", "Till", "till", "0", "_"] {
        names.push(account_key("acme", name)?);
    }
    let mut commit = commit(&*store, 1);
    commit.accounts.clone_from(&names);
    commit.accounts.extend([account_key("acm", "x")?, account_key("acme-2", "y")?, names[0].clone()]);
    store.commit(store.incarnation(), &Arc::new(commit)).await?;
    let mut expected: Vec<Account> = names.into_iter().map(|key| key.account).collect();
    expected.sort();
    for limit in [1, 2, 3, 6, 7, 8, 1000] {
        check_equal(
            format_args!("pages of {limit}"),
            &all_accounts(&*store, &tenant("acme")?, limit).await?,
            &expected,
        )?;
    }
    let behind = store.accounts(&tenant("acme")?, Some(&account("till-15")?), 10).await?;
    check_equal("behind a name that is not there", &behind, &vec![account("till-2")?])
}

pub(super) async fn many_accounts(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let mut expected = Vec::new();
    for part in 0..10_u64 {
        let mut commit = commit(&*store, part + 1);
        for index in 0..1000 {
            let key = account_key("acme", &format!("store-{}", index * 10 + part))?;
            expected.push(key.account.clone());
            commit.accounts.push(key);
        }
        store.commit(store.incarnation(), &Arc::new(commit)).await?;
    }
    expected.sort();
    let found = all_accounts(&*store, &tenant("acme")?, 333).await?;
    check_equal("count", &found.len(), &expected.len())?;
    super::check(found == expected, "ten thousand accounts do not come back in order")
}
