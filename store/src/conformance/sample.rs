//! Rows and commits to write.

use bytes::Bytes;
use ledger::{
    Account, AccountKey, Amount, Balance, BusinessDate, Currency, Digest, Fact, Grain, Kind, Place, RowKey, Tenant,
    Totals, WindowKey,
};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, Progress, RollupBatch},
    load::{JournalEntry, LoadRequest, RowsLoaded, RowsWanted},
    log::{LogIdentity, LogMark},
};

use super::Failure;
use crate::{AccountRead, Store};

/// Partition of cases that need only one.
pub(super) const LANE: u16 = 3;

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure(format!("the suite itself is wrong: {error}"))
}

pub(super) fn tenant(name: &str) -> Result<Tenant, Failure> {
    Tenant::parse(name).map_err(wrong)
}

pub(super) fn account(name: &str) -> Result<Account, Failure> {
    Account::parse(name).map_err(wrong)
}

pub(super) fn account_key(tenant_name: &str, account_name: &str) -> Result<AccountKey, Failure> {
    Ok(AccountKey { tenant: tenant(tenant_name)?, account: account(account_name)? })
}

pub(super) fn date(text: &str) -> Result<BusinessDate, Failure> {
    BusinessDate::parse(text).map_err(wrong)
}

pub(super) fn currency(code: &str) -> Result<Currency, Failure> {
    Currency::parse(code).map_err(wrong)
}

pub(super) fn window(key: &AccountKey, date: BusinessDate) -> WindowKey {
    WindowKey { tenant: key.tenant.clone(), account: key.account.clone(), date }
}

/// The key of the row of `grain` that `on` counts in.
pub(super) fn row(grain: Grain, on: &str, code: &str) -> Result<RowKey, Failure> {
    Ok(RowKey { grain, start: grain.start(date(on)?), currency: currency(code)? })
}

/// A row as it would stand after `stamp` messages; another stamp makes another row.
pub(super) fn balance(stamp: u64) -> Balance {
    let totals = Totals {
        credits: i128::from(stamp) * 7,
        debits: i128::from(stamp),
        credit_count: stamp,
        debit_count: stamp / 2,
    };
    Balance { totals, changed: Place::new(stamp, 1), applied: stamp }
}

/// A fact whose content follows from its place.
pub(super) fn fact(sequence: u64, line: u32) -> Result<Fact, Failure> {
    let text = format!("{{\"id\":\"{sequence}-{line}\"}}");
    let id_digest = Digest::of(text.as_bytes());
    let debit = (sequence + u64::from(line)).is_multiple_of(3);
    Ok(Fact {
        place: Place::new(sequence, line),
        id_digest,
        content_digest: Digest::of(&id_digest.0),
        kind: if debit { Kind::Debit } else { Kind::Credit },
        currency: currency(if line.is_multiple_of(2) { "BRL" } else { "JPY" })?,
        amount: Amount::from_minor_units(i64::from(line) + 1).map_err(wrong)?,
        line: Bytes::from(text),
    })
}

/// Facts of the first lines of these messages.
pub(super) fn facts(sequences: impl IntoIterator<Item = u64>) -> Result<Vec<Fact>, Failure> {
    sequences.into_iter().map(|sequence| fact(sequence, 1)).collect()
}

pub(super) fn chunk(window: &WindowKey, facts: Vec<Fact>) -> JournalChunk {
    JournalChunk { window: window.clone(), bucket: 0, begins_window: true, facts }
}

/// What a worker loads of a fact.
pub(super) fn entry(fact: &Fact) -> JournalEntry {
    let Fact { place, id_digest, content_digest, kind, currency, .. } = *fact;
    JournalEntry { place, id_digest, content_digest, kind, currency }
}

pub(super) fn mark(sequence: u64) -> LogMark {
    LogMark { sequence, digest: Digest::of(&sequence.to_be_bytes()) }
}

pub(super) fn progress(sequence: u64) -> Progress {
    let identity = LogIdentity { epoch: 1, stream_id: "sample".into(), partitions: 8 };
    Progress { sequence, time_ms: 1_000 + i64::try_from(sequence).unwrap_or(i64::MAX - 1_000), identity }
}

/// A commit of nothing but its marks.
pub(super) fn commit(store: &dyn Store, sequence: u64) -> Commit {
    Commit {
        partition: LANE,
        head: mark(sequence),
        journal: Vec::new(),
        accounts: Vec::new(),
        balances: Vec::new(),
        rollups: Vec::new(),
        progress: progress(sequence),
        checkpoint: store.commits_atomically().then(|| mark(sequence)),
    }
}

/// An account's batch: these rows, each as after `stamp` messages.
pub(super) fn account_batch(key: &AccountKey, stamp: u64, rows: &[RowKey]) -> AccountBatch {
    AccountBatch { key: key.clone(), applied: stamp, rows: stamped(stamp, rows) }
}

pub(super) fn rollup_batch(tenant: &Tenant, stamp: u64, rows: &[RowKey]) -> RollupBatch {
    RollupBatch { tenant: tenant.clone(), applied: stamp, rows: stamped(stamp, rows) }
}

/// These rows, each as after `stamp` messages, in order.
pub(super) fn stamped(stamp: u64, rows: &[RowKey]) -> Vec<(RowKey, Balance)> {
    let mut rows: Vec<_> = rows.iter().map(|row| (*row, balance(stamp))).collect();
    rows.sort_by_key(|(row, _)| *row);
    rows
}

/// Every row that an owner can have.
pub(super) const ALL_RANGES: [(Grain, BusinessDate, BusinessDate); 3] = [
    (Grain::Day, BusinessDate::MIN, BusinessDate::MAX),
    (Grain::Month, BusinessDate::MIN, BusinessDate::MAX),
    (Grain::Lifetime, BusinessDate::MIN, BusinessDate::MAX),
];

/// Reads all rows of an account.
pub(super) fn all_rows(key: &AccountKey) -> AccountRead {
    AccountRead { key: key.clone(), ranges: ALL_RANGES.to_vec() }
}

/// Loads nothing but these windows.
pub(super) fn windows_wanted(windows: &[WindowKey]) -> LoadRequest {
    LoadRequest { windows: windows.to_vec(), ..LoadRequest::default() }
}

pub(super) fn rows_wanted<Owner>(owner: Owner, days: &[BusinessDate], months: &[BusinessDate]) -> RowsWanted<Owner> {
    RowsWanted { owner, days: days.to_vec(), months: months.to_vec(), lifetime: true }
}

pub(super) fn rows_loaded<Owner>(owner: Owner, applied: u64, rows: Vec<(RowKey, Balance)>) -> RowsLoaded<Owner> {
    RowsLoaded { owner, applied: Some(applied), rows }
}
