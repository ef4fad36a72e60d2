//! Readers beside writers, and two workers that both think the lane is theirs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ledger::{Grain, RowKey};
use protocol::load::LoadRequest;
use retry::Backoff;
use tokio::task::JoinSet;

use super::{
    Checked, Factory, Failure, check, check_equal,
    sample::{
        ALL_RANGES, LANE, account_batch, account_key, all_rows, chunk, commit, date, facts, rollup_batch, row,
        rows_wanted, stamped, tenant, window,
    },
};
use crate::{Store, StoreError};

const COMMITS: u64 = 200;
const READERS: usize = 3;
/// How often something is asked for, and the pauses between.
const ATTEMPTS: usize = 10;
const RETRY_DELAYS_MS: (u64, u64) = (50, 1_000);
const DAY: &str = "2026-11-22";

fn rows() -> Result<Vec<RowKey>, Failure> {
    let mut rows = Vec::new();
    for grain in Grain::ALL {
        for code in ["BRL", "JPY", "USD"] {
            rows.push(row(grain, DAY, code)?);
        }
    }
    Ok(rows)
}

/// A commit that rewrites all rows of the lane's account and adds one launch.
async fn write(store: &dyn Store, partition: u16, stamp: u64) -> Checked {
    let key = account_key("acme", &format!("a{partition}"))?;
    let rows = rows()?;
    let mut commit = commit(store, stamp);
    commit.partition = partition;
    commit.journal.push(chunk(&window(&key, date(DAY)?), facts([stamp])?));
    commit.balances.push(account_batch(&key, stamp, &rows));
    commit.rollups.push(rollup_batch(&key.tenant, stamp, &rows));
    let commit = Arc::new(commit);
    Ok(patiently(|| store.commit(store.incarnation(), &commit)).await?)
}

/// Asks again while the store says that a retry helps, as its callers do: all that happens at once here may be too much for a
/// server on a busy machine.
async fn patiently<T, Asked>(mut ask: impl FnMut() -> Asked) -> Result<T, StoreError>
where
    Asked: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::new(RETRY_DELAYS_MS.0, RETRY_DELAYS_MS.1);
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(error) if error.retry_helps() => tokio::time::sleep(backoff.next_delay()).await,
            answer => return answer,
        }
    }
    ask().await
}

async fn write_all(store: Arc<dyn Store>, partition: u16, stamps: Vec<u64>) -> Checked {
    for stamp in stamps {
        write(&*store, partition, stamp).await?;
    }
    Ok(())
}

/// Reads everything of the lane once. In a store whose commits are atomic all of it is of one moment.
async fn read(store: &dyn Store, partition: u16, seen: &mut u64) -> Checked {
    let key = account_key("acme", &format!("a{partition}"))?;
    let rows = rows()?;
    let view = store.account_view(&all_rows(&key)).await?;
    if let Some(applied) = view.applied {
        check_equal("an account's rows", &view.rows, &stamped(applied, &rows))?;
        check(applied >= *seen, "an account went back")?;
        *seen = applied;
    }
    let rollup = store.rollup_view(&key.tenant, partition, &ALL_RANGES).await?;
    if let Some(applied) = rollup.applied {
        check_equal("a roll-up's rows", &rollup.rows, &stamped(applied, &rows))?;
    }
    let request = LoadRequest {
        accounts: vec![rows_wanted(key.clone(), &[date(DAY)?], &[date("2026-11-01")?])],
        tenants: vec![rows_wanted(key.tenant.clone(), &[date(DAY)?], &[])],
        windows: vec![window(&key, date(DAY)?)],
    };
    let loaded = patiently(|| store.load(store.incarnation(), partition, &request)).await?;
    let applied = loaded.accounts[0].applied.unwrap_or_default();
    check(loaded.accounts[0].rows.iter().all(|(_, balance)| balance.applied == applied), "a load sees half a batch")?;
    let launches = loaded.windows[0].entries.len() as u64;
    // Rows are read before the journal, or at the same moment.
    check(launches >= applied, "a load sees rows without their launches")?;
    if store.commits_atomically() {
        check_equal("a load's journal and rows", &launches, &applied)?;
        check_equal("a load's roll-up and rows", &loaded.tenants[0].applied.unwrap_or_default(), &applied)?;
    }
    let progress = store.partition_state(partition).await?.progress.map_or(0, |progress| progress.sequence);
    let view = store.account_view(&all_rows(&key)).await?;
    check(view.applied.unwrap_or_default() >= progress, "progress claims rows that are not there")
}

async fn read_until(store: Arc<dyn Store>, partition: u16, done: Arc<AtomicBool>) -> Checked {
    let mut seen = 0;
    loop {
        // Asked before the read, so that one read comes behind the last commit.
        let last = done.load(Ordering::Acquire);
        read(&*store, partition, &mut seen).await?;
        if last {
            return check_equal("the last moment", &seen, &COMMITS);
        }
        tokio::task::yield_now().await;
    }
}

async fn all_of(mut tasks: JoinSet<Checked>) -> Checked {
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| Failure(error.to_string()))??;
    }
    Ok(())
}

pub(super) async fn whole_batches(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let done = Arc::new(AtomicBool::new(false));
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    for partition in [LANE, LANE + 1] {
        writers.spawn(write_all(subject.store(), partition, (1..=COMMITS).collect()));
        for _ in 0..READERS {
            readers.spawn(read_until(subject.store(), partition, Arc::clone(&done)));
        }
    }
    let written = all_of(writers).await;
    done.store(true, Ordering::Release);
    all_of(readers).await?;
    written
}

pub(super) async fn two_workers(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let mut writers = JoinSet::new();
    // Both write every stamp, one of them in pairs backwards: each commit meets older, equal and newer rows.
    writers.spawn(write_all(subject.store(), LANE, (1..=COMMITS).collect()));
    writers.spawn(write_all(subject.store(), LANE, (1..=COMMITS).map(|stamp| ((stamp - 1) ^ 1) + 1).collect()));
    writers.spawn(write_all(subject.store(), LANE, (1..=COMMITS).rev().collect()));
    all_of(writers).await?;
    let store = subject.store();
    let key = account_key("acme", &format!("a{LANE}"))?;
    let rows = stamped(COMMITS, &rows()?);
    let view = store.account_view(&all_rows(&key)).await?;
    check_equal("applied", &view.applied, &Some(COMMITS))?;
    check_equal("the account", &view.rows, &rows)?;
    check_equal("the roll-up", &store.rollup_view(&tenant("acme")?, LANE, &ALL_RANGES).await?.rows, &rows)?;
    let page = store.launches(&window(&key, date(DAY)?), None, u64::MAX, 1_000).await?;
    check_equal("launches", &page.facts, &facts(1..=COMMITS)?)?;
    let state = store.partition_state(LANE).await?;
    check_equal("progress", &state.progress.map(|progress| progress.sequence), &Some(COMMITS))
}
