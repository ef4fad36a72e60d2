//! A commit as a whole: marks, repetition, incarnations, the generation.

use std::sync::Arc;

use ledger::Grain;
use protocol::commit::Commit;

use super::{
    Checked, Factory, Failure, check, check_equal,
    sample::{
        ALL_RANGES, LANE, account_batch, account_key, all_rows, chunk, commit, date, facts, mark, progress,
        rollup_batch, row, window, windows_wanted,
    },
};
use crate::{AccountView, LaunchesPage, Store, StoreErrorKind};

pub(super) async fn marks(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let incarnation = store.incarnation();
    // Head, progress and checkpoint of a commit, and what must stand afterwards.
    let steps = [
        ((9, 5, Some(5)), (9, 5, 5)),
        ((7, 4, Some(3)), (9, 5, 5)),
        ((20, 6, None), (20, 6, 5)),
        ((20, 6, Some(6)), (20, 6, 6)),
        ((30, 6, Some(4)), (30, 6, 6)),
    ];
    for ((head, applied, checkpoint), (head_after, applied_after, checkpoint_after)) in steps {
        let mut commit = commit(&*store, applied);
        commit.head = mark(head);
        commit.checkpoint = checkpoint.map(mark).filter(|_| store.commits_atomically());
        store.commit(incarnation, &Arc::new(commit)).await?;
        // Elsewhere it follows by itself, when it is safe.
        if let Some(checkpoint) = checkpoint.filter(|_| !store.commits_atomically()) {
            store.write_checkpoint(incarnation, LANE, mark(checkpoint)).await?;
        }
        let state = store.partition_state(LANE).await?;
        check_equal("head", &state.head, &mark(head_after))?;
        check_equal("progress", &state.progress, &Some(progress(applied_after)))?;
        check_equal("checkpoint", &state.checkpoint, &mark(checkpoint_after))?;
    }
    for (checkpoint, after) in [(5, 6), (6, 6), (17, 17), (16, 17)] {
        store.write_checkpoint(incarnation, LANE, mark(checkpoint)).await?;
        check_equal("checkpoint", &store.partition_state(LANE).await?.checkpoint, &mark(after))?;
    }
    store.write_checkpoint(incarnation, LANE + 1, mark(2)).await?;
    let other = store.partition_state(LANE + 1).await?;
    check_equal("another lane", &(other.checkpoint, other.progress), &(mark(2), None))
}

/// A commit with something of everything.
pub(super) fn full_commit(store: &dyn Store, sequence: u64) -> Result<Commit, Failure> {
    let mut commit = commit(store, sequence);
    for name in ["a", "b"] {
        let key = account_key("acme", name)?;
        let rows = [
            row(Grain::Day, "2026-11-22", "BRL")?,
            row(Grain::Month, "2026-11-22", "BRL")?,
            row(Grain::Lifetime, "2026-11-22", "BRL")?,
        ];
        commit.journal.push(chunk(&window(&key, date("2026-11-22")?), facts(sequence.saturating_sub(2)..=sequence)?));
        commit.balances.push(account_batch(&key, sequence, &rows));
        commit.accounts.push(key);
        commit.rollups = vec![rollup_batch(&commit.accounts[0].tenant, sequence, &rows)];
    }
    Ok(commit)
}

/// All that can be read of what [`full_commit`] writes.
#[derive(Debug, PartialEq)]
pub(super) struct Everything {
    pub views: Vec<AccountView>,
    pub launches: Vec<LaunchesPage>,
    pub loaded: protocol::load::Loaded,
    pub accounts: Vec<ledger::Account>,
    pub rollup: protocol::load::RowsLoaded<ledger::Tenant>,
    pub state: protocol::commit::PartitionState,
}

pub(super) async fn read_everything(store: &dyn Store) -> Result<Everything, Failure> {
    let keys = [account_key("acme", "a")?, account_key("acme", "b")?];
    let (mut views, mut launches, mut windows) = (Vec::new(), Vec::new(), Vec::new());
    for key in &keys {
        let window = window(key, date("2026-11-22")?);
        views.push(store.account_view(&all_rows(key)).await?);
        launches.push(store.launches(&window, None, u64::MAX, 1_000).await?);
        windows.push(window);
    }
    let tenant = &keys[0].tenant;
    Ok(Everything {
        views,
        launches,
        loaded: store.load(store.incarnation(), LANE, &windows_wanted(&windows)).await?,
        accounts: store.accounts(tenant, None, 1_000).await?,
        rollup: store.rollup_view(tenant, LANE, &ALL_RANGES).await?,
        state: store.partition_state(LANE).await?,
    })
}

pub(super) async fn again(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let commits = [Arc::new(full_commit(&*store, 5)?), Arc::new(full_commit(&*store, 8)?)];
    for commit in &commits {
        store.commit(store.incarnation(), commit).await?;
    }
    let before = read_everything(&*store).await?;
    check_equal("launches", &before.launches[0].facts.len(), &6)?;
    for commit in [&commits[1], &commits[0], &commits[0], &commits[1]] {
        store.commit(store.incarnation(), commit).await?;
        check_equal("after the same commit", &read_everything(&*store).await?, &before)?;
    }
    Ok(())
}

pub(super) async fn incarnations(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let before = read_everything(&*store).await?;
    let other = store.incarnation() + 1;
    let lost = Some(StoreErrorKind::Lost);
    let commit = store.commit(other, &Arc::new(full_commit(&*store, 5)?)).await;
    check_equal("commit", &commit.err().map(|error| error.kind), &lost)?;
    let load = store.load(other, LANE, &windows_wanted(&[])).await;
    check_equal("load", &load.err().map(|error| error.kind), &lost)?;
    let checkpoint = store.write_checkpoint(other, LANE, mark(5)).await;
    check_equal("checkpoint", &checkpoint.err().map(|error| error.kind), &lost)?;
    let confirmed = store.confirm_incarnation(other).await;
    check_equal("confirmation", &confirmed.err().map(|error| error.kind), &lost)?;
    store.confirm_incarnation(store.incarnation()).await?;
    check_equal("what is stored", &read_everything(&*store).await?, &before)
}

/// Where commits are not atomic a commit says nothing about the checkpoint, and there is a time after which it may.
pub(super) async fn checkpoints(factory: &dyn Factory) -> Checked {
    let mut subject = factory.empty().await?;
    let store = subject.store();
    check_equal("whether the checkpoint lags", &(store.checkpoint_lag_ms() > 0), &!store.commits_atomically())?;
    store.commit(store.incarnation(), &Arc::new(full_commit(&*store, 5)?)).await?;
    let committed = if store.commits_atomically() { 5 } else { 0 };
    check_equal("behind a commit", &store.partition_state(LANE).await?.checkpoint.sequence, &committed)?;
    store.write_checkpoint(store.incarnation(), LANE, mark(5)).await?;
    store.commit(store.incarnation(), &Arc::new(full_commit(&*store, 9)?)).await?;
    drop(store);
    subject.reopen().await?;
    let committed = if subject.store().commits_atomically() { 9 } else { 5 };
    let state = subject.store().partition_state(LANE).await?;
    check_equal("after a crash", &(state.checkpoint, state.head.sequence), &(mark(committed), 9))
}

pub(super) async fn generation(factory: &dyn Factory) -> Checked {
    let mut subject = factory.empty().await?;
    let made = subject.store().open_generation(4).await?;
    check_equal("fold version", &made.fold_version, &4)?;
    check(made.generation >= 1 && made.generation <= made.generation_high_water, "the first generation is counted")?;
    check_equal("read again", &subject.store().open_generation(4).await?, &made)?;
    subject.reopen().await?;
    check_equal("read after a crash", &subject.store().open_generation(4).await?, &made)?;
    for other in [3, 5] {
        let refused = subject.store().open_generation(other).await;
        check_equal("other rules", &refused.err().map(|error| error.kind), &Some(StoreErrorKind::Refused))?;
    }
    check_equal("the record afterwards", &subject.store().open_generation(4).await?, &made)
}
