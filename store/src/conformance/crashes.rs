//! Crashes: what was acknowledged stays, what was half-written is completed by the same commit.

use std::sync::Arc;

use super::{
    Checked, Factory, Subject, check, check_equal,
    commits::{full_commit, read_everything},
};

pub(super) async fn acknowledged(factory: &dyn Factory) -> Checked {
    let mut subject = factory.empty().await?;
    for sequence in [5, 9, 12] {
        let store = subject.store();
        store.commit(store.incarnation(), &Arc::new(full_commit(&*store, sequence)?)).await?;
        let before = read_everything(&*store).await?;
        drop(store);
        subject.reopen().await?;
        check_equal(
            format_args!("after the crash behind {sequence}"),
            &read_everything(&*subject.store()).await?,
            &before,
        )?;
    }
    Ok(())
}

/// More steps than a commit of the suite has.
const MOST_STEPS: usize = 100;

pub(super) async fn between_steps(factory: &dyn Factory) -> Checked {
    for steps in 0..MOST_STEPS {
        let mut subject = factory.empty().await?;
        let store = subject.store();
        store.commit(store.incarnation(), &Arc::new(full_commit(&*store, 5)?)).await?;
        drop(store);
        if !subject.fail_after_steps(steps) {
            return Ok(());
        }
        let whole = crash_within(&mut *subject).await?;
        complete(&mut *subject).await?;
        if whole {
            return check(steps > 0, "a commit without any step");
        }
    }
    check(false, "a commit never ends")
}

/// Commits and crashes. Says whether the commit was acknowledged.
async fn crash_within(subject: &mut dyn Subject) -> Result<bool, super::Failure> {
    let store = subject.store();
    let commit = Arc::new(full_commit(&*store, 9)?);
    let whole = store.commit(store.incarnation(), &commit).await.is_ok();
    drop(store);
    subject.reopen().await?;
    let found = read_everything(&*subject.store()).await?;
    let progress = found.state.progress.map_or(0, |progress| progress.sequence);
    check(progress == 9 || (!whole && progress == 5), "progress is that of one of the commits")?;
    for view in &found.views {
        let stamp = view.applied.unwrap_or_default();
        check(view.rows.iter().all(|(_, balance)| balance.applied == stamp), "an account's rows are of one moment")?;
        check(stamp >= progress, "progress claims rows that are not there")?;
        check(stamp <= found.state.head.sequence, "a row is beyond the head")?;
    }
    for page in &found.launches {
        check(progress < 9 || page.facts.len() == 6, "progress claims launches that are not there")?;
    }
    Ok(whole)
}

/// The same commit again makes everything as if there had been no crash.
async fn complete(subject: &mut dyn Subject) -> Checked {
    let store = subject.store();
    store.commit(store.incarnation(), &Arc::new(full_commit(&*store, 9)?)).await?;
    let found = read_everything(&*store).await?;
    check_equal("progress", &found.state.progress.map(|progress| progress.sequence), &Some(9))?;
    check(found.views.iter().all(|view| view.applied == Some(9) && view.rows.len() == 3), "rows are completed")?;
    check(found.launches.iter().all(|page| page.facts.len() == 6), "launches are completed")?;
    check_equal("accounts", &found.accounts.len(), &2)
}
