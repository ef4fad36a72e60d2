//! Journals: unions, pages, chunks of all sizes.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{Fact, Place, WindowKey};
use protocol::commit::JournalChunk;

use super::{
    Checked, Factory, Failure, check, check_equal,
    sample::{LANE, account_key, chunk, commit, date, entry, fact, facts, window, windows_wanted},
};
use crate::Store;

pub(super) fn one_window() -> Result<WindowKey, Failure> {
    Ok(window(&account_key("acme", "a")?, date("2026-11-22")?))
}

async fn write(store: &dyn Store, sequence: u64, chunks: Vec<JournalChunk>) -> Checked {
    let mut commit = commit(store, sequence);
    commit.journal = chunks;
    Ok(store.commit(store.incarnation(), &Arc::new(commit)).await?)
}

/// All launches behind `after` and up to `upto`, page by page.
pub(super) async fn all_pages(
    store: &dyn Store,
    window: &WindowKey,
    after: Option<Place>,
    upto: u64,
    limit: usize,
) -> Result<Vec<Fact>, Failure> {
    let mut found: Vec<Fact> = Vec::new();
    loop {
        let behind = found.last().map(|fact| fact.place).or(after);
        let page = store.launches(window, behind, upto, limit).await?;
        check(page.facts.len() <= limit, "a page is longer than its limit")?;
        check(!page.more || page.facts.len() == limit, "a page with more behind it is short")?;
        found.extend(page.facts);
        if !page.more {
            return Ok(found);
        }
    }
}

/// Loads and pages give exactly these facts.
pub(super) async fn check_window(
    store: &dyn Store,
    window: &WindowKey,
    expected: &[Fact],
    limits: &[usize],
) -> Checked {
    let loaded = store.load(store.incarnation(), LANE, &windows_wanted(std::slice::from_ref(window))).await?;
    let entries: Vec<_> = loaded.windows.into_iter().flat_map(|loaded| loaded.entries).collect();
    check(
        entries == expected.iter().map(entry).collect::<Vec<_>>(),
        "the loaded journal is not the union of the chunks",
    )?;
    for limit in limits {
        let found = all_pages(store, window, None, u64::MAX, *limit).await?;
        check_equal(format_args!("launches in pages of {limit}"), &found.len(), &expected.len())?;
        check(found == expected, format_args!("pages of {limit} are not the union of the chunks"))?;
    }
    Ok(())
}

pub(super) async fn union(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let (here, other) = (one_window()?, window(&account_key("acme", "a")?, date("2026-11-23")?));
    let everything = facts(1..=12)?;
    for (sequence, range) in [(9, 4..9), (5, 0..5), (5, 0..5), (9, 4..9), (12, 2..12), (12, 11..12)] {
        write(&*store, sequence, vec![chunk(&here, everything[range].to_vec())]).await?;
    }
    write(&*store, 13, vec![chunk(&other, facts([13])?)]).await?;
    check_window(&*store, &here, &everything, &[1, 5, 12, 13]).await?;
    check_window(&*store, &other, &facts([13])?, &[1, 2]).await
}

pub(super) async fn pages(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    let mut everything = Vec::new();
    for sequence in [3, 4, 7, 300, 301, 70_000] {
        for line in [1, 2, 9] {
            everything.push(fact(sequence, line)?);
        }
    }
    for range in [0..4, 4..6, 2..9, 9..18, 17..18, 0..1] {
        write(&*store, 70_000, vec![chunk(&here, everything[range].to_vec())]).await?;
    }
    check_window(&*store, &here, &everything, &[1, 2, 3, 17, 18, 19]).await?;
    let places =
        everything.iter().map(|fact| fact.place).chain([Place::new(4, 3), Place::new(0, 0), Place::new(u64::MAX, 1)]);
    for after in places {
        for upto in [0, 3, 4, 5, 300, 69_999, 70_000] {
            let expected: Vec<Fact> =
                everything.iter().filter(|fact| fact.place > after && fact.place.sequence <= upto).cloned().collect();
            for limit in [1, 4] {
                let found = all_pages(&*store, &here, Some(after), upto, limit).await?;
                check_equal(format_args!("behind {after:?} up to {upto}"), &found, &expected)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn long_and_short_chunks(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    // A lone launch a commit first, then a replay that took all of them at once, with others before and behind.
    let everything = facts((1..=200_000).step_by(1_000))?;
    for fact in &everything[20..150] {
        write(&*store, fact.place.sequence, vec![chunk(&here, vec![fact.clone()])]).await?;
    }
    check_window(&*store, &here, &everything[20..150], &[7]).await?;
    write(&*store, 200_000, vec![chunk(&here, everything[10..].to_vec())]).await?;
    write(&*store, 200_000, vec![chunk(&here, everything[..12].to_vec())]).await?;
    check_window(&*store, &here, &everything, &[1, 3, 50, 200]).await
}

pub(super) async fn large_chunks(factory: &dyn Factory) -> Checked {
    let subject = factory.empty().await?;
    let store = subject.store();
    let here = one_window()?;
    let mut everything = facts(1..=40)?;
    for (fact, index) in everything.iter_mut().zip(0_u8..) {
        // Any bytes, up to the longest line that is not parked.
        let length = 1 + usize::from(index) * 1_638;
        fact.line = (0..length).map(|at| (at % 256).to_le_bytes()[0] ^ index).collect::<Vec<u8>>().into();
    }
    everything[7].line = Bytes::new();
    for part in everything.chunks(8) {
        write(&*store, 40, vec![chunk(&here, part.to_vec())]).await?;
    }
    check_window(&*store, &here, &everything, &[1, 40]).await
}
