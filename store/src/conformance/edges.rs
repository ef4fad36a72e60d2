//! Pages over every boundary that a store may have: of buckets, of chunks, and of the rows that a server sends at once.

use std::sync::Arc;

use ledger::{Fact, Place, WindowKey};
use protocol::commit::{JOURNAL_BUCKET_FACTS, JournalChunk, MAX_CHUNK_FACTS};

use super::{
    Checked, Factory, Failure, check, check_equal,
    journal::{all_pages, check_window, one_window},
    sample::{commit, fact},
};
use crate::{LaunchesPage, Store};

/// Rows that a server is asked for at once, first and later; and a little more.
const ROWS_AT_ONCE: [usize; 2] = [16, 4_096];
const LONE_LAUNCHES: usize = 4_200;
/// Launches of one message: no bucket and no chunk ends where a message does.
const LINES: usize = 3;

fn launches(count: usize) -> Result<Vec<Fact>, Failure> {
    let place = |index: usize| ((1 + index / LINES) as u64, u32::try_from(index % LINES).unwrap_or_default() + 1);
    (0..count).map(place).map(|(sequence, line)| fact(sequence, line)).collect()
}

/// Writes all of it, in chunks of this size.
async fn write(store: &dyn Store, window: &WindowKey, facts: &[Fact], chunk_facts: usize) -> Checked {
    let mut below = 0;
    let mut commit = commit(store, facts.last().map_or(0, |fact| fact.place.sequence));
    for part in facts.chunks(chunk_facts) {
        let bucket = u32::try_from(below / JOURNAL_BUCKET_FACTS).unwrap_or(u32::MAX);
        let chunk = JournalChunk { window: window.clone(), bucket, begins_window: below == 0, facts: part.to_vec() };
        below += part.len() as u64;
        commit.journal.push(chunk);
    }
    Ok(store.commit(store.incarnation(), &Arc::new(commit)).await?)
}

/// Small pages that begin and end at `edge`, a number of launches, or near it.
async fn check_edge(store: &dyn Store, window: &WindowKey, all: &[Fact], edge: usize) -> Checked {
    for start in edge.saturating_sub(3)..=(edge + 1).min(all.len()) {
        let after = start.checked_sub(1).and_then(|last| all.get(last)).map(|fact| fact.place);
        let rest = all.get(start..).unwrap_or_default();
        for limit in [1, 5] {
            let page = store.launches(window, after, u64::MAX, limit).await?;
            let expected = LaunchesPage { facts: rest.iter().take(limit).cloned().collect(), more: rest.len() > limit };
            check_equal(format_args!("{limit} launches behind {start} of {}", all.len()), &page, &expected)?;
        }
    }
    let Some(last) = edge.checked_sub(1).and_then(|last| all.get(last)) else { return Ok(()) };
    let start = edge.saturating_sub(8);
    for upto in last.place.sequence - 1..=last.place.sequence + 1 {
        let after = start.checked_sub(1).and_then(|last| all.get(last)).map(|fact| fact.place);
        let found = all_pages(store, window, after, upto, 4).await?;
        let expected: Vec<Fact> = all[start..].iter().take_while(|fact| fact.place.sequence <= upto).cloned().collect();
        check_equal(format_args!("launches behind {start} up to message {upto}"), &found, &expected)?;
    }
    Ok(())
}

/// Two buckets and the beginning of a third, in chunks that do not end with the buckets.
pub(super) async fn buckets(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    let bucket = usize::try_from(JOURNAL_BUCKET_FACTS).unwrap_or(usize::MAX);
    let all = launches(2 * bucket + MAX_CHUNK_FACTS + 100)?;
    let chunk_facts = MAX_CHUNK_FACTS - 1;
    write(&*store, &here, &all, chunk_facts).await?;
    check_window(&*store, &here, &all, &[5_000, 50_000]).await?;
    let around = |end: usize| [end, end - end % chunk_facts, end - end % chunk_facts + chunk_facts];
    for edge in [0, chunk_facts, all.len()].into_iter().chain(around(bucket)).chain(around(2 * bucket)) {
        check_edge(&*store, &here, &all, edge).await?;
    }
    let behind = store.launches(&here, Some(Place::new(u64::MAX, 1)), u64::MAX, 10).await?;
    check_equal("behind the end", &behind, &LaunchesPage::default())
}

/// A journal that ends with a bucket: one that is full, and nothing behind it.
pub(super) async fn full_bucket(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    let all = launches(usize::try_from(JOURNAL_BUCKET_FACTS).unwrap_or(usize::MAX))?;
    write(&*store, &here, &all, MAX_CHUNK_FACTS).await?;
    check_window(&*store, &here, &all, &[all.len() - 1, all.len()]).await?;
    for edge in [all.len() - MAX_CHUNK_FACTS, all.len()] {
        check_edge(&*store, &here, &all, edge).await?;
    }
    Ok(())
}

/// A chunk a launch: more rows than a server sends at once.
pub(super) async fn lone_launches(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    let all = launches(LONE_LAUNCHES)?;
    write(&*store, &here, &all, 1).await?;
    check_window(&*store, &here, &all, &[333, 4_100]).await?;
    for edge in ROWS_AT_ONCE.into_iter().chain([0, 2 * ROWS_AT_ONCE[0], ROWS_AT_ONCE[0] + ROWS_AT_ONCE[1], all.len()]) {
        check_edge(&*store, &here, &all, edge).await?;
    }
    check(store.launches(&here, None, u64::MAX, all.len()).await?.facts == all, "one page does not have all")
}
