//! Commits of one account: one launch a message, so that everything can be told from the sequence.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{
    Account, AccountKey, Amount, Balance, BusinessDate, Currency, Digest, Fact, Grain, Kind, Place, RowKey, Tenant,
    Totals, WindowKey,
};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, Progress, RollupBatch},
    log::{LogIdentity, LogMark},
};
use store::{AccountRead, EmbeddedStore, Store};

pub fn account(index: u16) -> AccountKey {
    AccountKey { tenant: Tenant::parse("acme").unwrap(), account: Account::parse(&format!("store-{index}")).unwrap() }
}

pub fn date() -> BusinessDate {
    BusinessDate::parse("2026-11-22").unwrap()
}

pub fn window(index: u16) -> WindowKey {
    let AccountKey { tenant, account } = account(index);
    WindowKey { tenant, account, date: date() }
}

pub fn row(grain: Grain, days_later: i32, currency: &str) -> RowKey {
    let on = BusinessDate::from_days(date().days() + days_later).unwrap();
    RowKey { grain, start: grain.start(on), currency: Currency::parse(currency).unwrap() }
}

/// A row as it stands after `stamp` messages of one launch each.
pub fn balance(stamp: u64) -> Balance {
    let totals = Totals { credits: i128::from(stamp) * 100, debits: 0, credit_count: stamp, debit_count: 0 };
    Balance { totals, changed: Place::new(stamp, 1), applied: stamp }
}

pub fn fact(sequence: u64, line_bytes: usize) -> Fact {
    let id_digest = Digest::of(&sequence.to_be_bytes());
    // As good as random, so that neither the store nor the file system makes it small.
    let line: Vec<u8> = (0_u64..)
        .flat_map(|part| Digest::of(&[sequence, part].map(u64::to_be_bytes).concat()).0)
        .take(line_bytes)
        .collect();
    Fact {
        place: Place::new(sequence, 1),
        id_digest,
        content_digest: Digest::of(&id_digest.0),
        kind: Kind::Credit,
        currency: Currency::parse("BRL").unwrap(),
        amount: Amount::from_minor_units(100).unwrap(),
        line: Bytes::from(line),
    }
}

pub fn mark(sequence: u64) -> LogMark {
    LogMark { sequence, digest: Digest::of(&sequence.to_be_bytes()) }
}

pub fn progress(sequence: u64) -> Progress {
    Progress { sequence, time_ms: 0, identity: LogIdentity { epoch: 1, stream_id: "test".into(), partitions: 4 } }
}

pub fn empty_commit(partition: u16, sequence: u64) -> Commit {
    Commit {
        partition,
        head: mark(sequence),
        journal: Vec::new(),
        accounts: Vec::new(),
        balances: Vec::new(),
        rollups: Vec::new(),
        progress: progress(sequence),
        checkpoint: Some(mark(sequence)),
    }
}

/// The commit of the message `sequence`, with a line of so many bytes.
pub fn commit(sequence: u64, line_bytes: usize) -> Arc<Commit> {
    let rows: Vec<_> = Grain::ALL.into_iter().map(|grain| (row(grain, 0, "BRL"), balance(sequence))).collect();
    let mut commit = empty_commit(0, sequence);
    commit.journal.push(JournalChunk {
        window: window(0),
        bucket: 0,
        begins_window: true,
        facts: vec![fact(sequence, line_bytes)],
    });
    commit.accounts.push(account(0));
    commit.balances.push(AccountBatch { key: account(0), applied: sequence, rows: rows.clone() });
    commit.rollups.push(RollupBatch { tenant: account(0).tenant, applied: sequence, rows });
    Arc::new(commit)
}

pub fn all_rows(index: u16) -> AccountRead {
    let ranges = Grain::ALL.into_iter().map(|grain| (grain, BusinessDate::MIN, BusinessDate::MAX)).collect();
    AccountRead { key: account(index), ranges }
}

/// Checks that the store holds exactly the commits 1 to some sequence, and says which.
pub async fn check_prefix(store: &EmbeddedStore, line_bytes: usize) -> u64 {
    let state = store.partition_state(0).await.unwrap();
    let stored = state.progress.map_or(0, |progress| progress.sequence);
    assert_eq!((state.head.sequence, state.checkpoint.sequence), (stored, stored));
    let view = store.account_view(&all_rows(0)).await.unwrap();
    assert_eq!(view.applied.unwrap_or_default(), stored);
    assert!(view.rows.iter().all(|(_, found)| *found == balance(stored)));
    assert_eq!(view.rows.len(), if stored == 0 { 0 } else { 3 });
    let mut after = None;
    for sequence in 1..=stored {
        let page = store.launches(&window(0), after, u64::MAX, 1).await.unwrap();
        assert_eq!(page.facts, [fact(sequence, line_bytes)]);
        assert_eq!(page.more, sequence < stored);
        after = page.facts.last().map(|fact| fact.place);
    }
    stored
}
