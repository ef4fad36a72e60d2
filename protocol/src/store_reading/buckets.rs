//! Which buckets and chunks of a journal are read.
//!
//! A chunk stands in the bucket that its first launch is counted into: the window's launches below that one, div the size of a
//! bucket. Its other launches may belong to the next count already. A chunk never has more launches than a bucket, so that
//! no bucket is empty in front of one that is not, and what reaches behind a place begins in that place's bucket or the one
//! before. Chunks overlap where a replay cut them otherwise.

use std::ops::ControlFlow;

use ledger::Place;

use super::page::{ChunkFacts, ChunkKey, LaunchesPage, Page, Wanted};
use crate::{
    commit::{JOURNAL_BUCKET_FACTS, MAX_CHUNK_FACTS},
    load::JournalEntry,
};

/// A chunk as it is stored.
pub struct StoredChunk<'a, E> {
    /// Its key.
    pub key: ChunkKey,
    /// Its launches; `None` while a part of it is missing.
    pub facts: Option<&'a dyn ChunkFacts<E>>,
}

/// How many launches a bucket and a chunk may have.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of a bucket.
    pub bucket_facts: u64,
    /// Of a chunk; not more than of a bucket.
    pub chunk_facts: usize,
    pub(crate) rules: BucketRules,
}

/// What journals are written with.
pub const SIZES: Sizes = {
    assert!(MAX_CHUNK_FACTS as u64 <= JOURNAL_BUCKET_FACTS);
    Sizes { bucket_facts: JOURNAL_BUCKET_FACTS, chunk_facts: MAX_CHUNK_FACTS, rules: BucketRules::ALL }
};

/// Rules that the simulation may leave out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketRules {
    /// The bucket behind that of the place is looked at, even if nothing is left in the place's own.
    pub(crate) looks_at_next_bucket: bool,
    /// Chunks that begin at or before the place and reach behind it are taken.
    pub(crate) takes_what_reaches_behind: bool,
    /// A worker goes on while the buckets are full.
    pub(crate) loads_full_buckets: bool,
}

impl BucketRules {
    pub(crate) const ALL: Self =
        Self { looks_at_next_bucket: true, takes_what_reaches_behind: true, loads_full_buckets: true };
}

/// A window's journal, bucket by bucket. A bucket has its chunks in the order of their keys.
pub trait Buckets {
    /// Why it cannot be read.
    type Error;

    /// Where the first chunk of a bucket begins.
    fn first_place(&self, bucket: u32) -> impl Future<Output = Result<Option<Place>, Self::Error>> + Send;

    /// Keys of chunks that begin at or before `from`, the last one first, until `take` wants no more (false).
    fn keys_down(
        &self,
        bucket: u32,
        from: Place,
        take: impl FnMut(ChunkKey) -> bool + Send,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The chunk of a key.
    fn chunk(
        &self,
        bucket: u32,
        key: ChunkKey,
        take: impl FnMut(&StoredChunk<'_, Self::Error>) -> Result<bool, Self::Error> + Send,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Chunks that begin behind `after`, until `take` wants no more (false).
    fn chunks_behind(
        &self,
        bucket: u32,
        after: Place,
        take: impl FnMut(&StoredChunk<'_, Self::Error>) -> Result<bool, Self::Error> + Send,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Adds what a worker loads of all chunks of a bucket, in any order.
    fn entries(
        &self,
        bucket: u32,
        entries: &mut Vec<JournalEntry>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The whole journal, as a worker loads it: buckets for as long as they are full.
///
/// # Errors
/// The journal's own.
pub async fn load<Journal: Buckets>(journal: &Journal, sizes: Sizes) -> Result<Vec<JournalEntry>, Journal::Error> {
    let mut entries = Vec::new();
    let mut filled = sizes.bucket_facts;
    for bucket in 0.. {
        journal.entries(bucket, &mut entries).await?;
        entries.sort_unstable_by_key(|entry| (entry.place, entry.kind));
        entries.dedup_by_key(|entry| (entry.place, entry.kind));
        if (entries.len() as u64) < filled || !sizes.rules.loads_full_buckets {
            break;
        }
        filled += sizes.bucket_facts;
    }
    Ok(entries)
}

/// A page of launches.
///
/// # Errors
/// The journal's own.
pub async fn page<Journal: Buckets>(
    journal: &Journal,
    sizes: Sizes,
    wanted: Wanted,
) -> Result<LaunchesPage, Journal::Error> {
    let mut page = Page::new(wanted);
    let mut bucket = 0;
    if let Some(after) = wanted.after {
        let (holds_after, is_last) = bucket_of(journal, after).await?;
        if sizes.rules.takes_what_reaches_behind {
            collect_reaching_behind(journal, sizes, holds_after, after, &mut page).await?;
        }
        let chunks = collect_behind(journal, holds_after, &mut page).await?;
        // Nothing may be left behind the place in its own bucket; that says nothing of the next one.
        let goes_on = sizes.rules.looks_at_next_bucket || matches!(chunks, ControlFlow::Continue(1..));
        if is_last || chunks.is_break() || !goes_on {
            return Ok(page.finish());
        }
        bucket = holds_after + 1;
    }
    // All chunks of these buckets begin behind the place: one without any is behind the journal's end.
    while let ControlFlow::Continue(1..) = collect_behind(journal, bucket, &mut page).await? {
        bucket += 1;
    }
    Ok(page.finish())
}

/// The last bucket that begins at or before `place`, and whether it is the journal's last one.
async fn bucket_of<Journal: Buckets>(journal: &Journal, place: Place) -> Result<(u32, bool), Journal::Error> {
    let mut bucket = 0;
    loop {
        match journal.first_place(bucket + 1).await? {
            None => return Ok((bucket, true)),
            Some(first) if first > place => return Ok((bucket, false)),
            Some(_) => bucket += 1,
        }
    }
}

/// Takes the chunks that begin at or before `after` and reach behind it: in this bucket, or at the end of the one before.
async fn collect_reaching_behind<Journal: Buckets>(
    journal: &Journal,
    sizes: Sizes,
    bucket: u32,
    after: Place,
    page: &mut Page,
) -> Result<(), Journal::Error> {
    let mut beginnings_left = sizes.chunk_facts;
    for bucket in (bucket.saturating_sub(1)..=bucket).rev() {
        if beginnings_left == 0 {
            break;
        }
        for key in keys_reaching_behind(journal, bucket, after, &mut beginnings_left).await? {
            journal.chunk(bucket, key, |chunk| take(chunk, page).map(|taken| taken.is_continue())).await?;
        }
    }
    Ok(())
}

/// Keys of those chunks in one bucket. Chunks with as many different beginnings as a chunk may have launches begin at as many
/// launches, each of which lies at or before `after`: none in front of them reaches behind it.
async fn keys_reaching_behind<Journal: Buckets>(
    journal: &Journal,
    bucket: u32,
    after: Place,
    beginnings_left: &mut usize,
) -> Result<Vec<ChunkKey>, Journal::Error> {
    let (mut keys, mut beginning) = (Vec::new(), None);
    let keep = |(first, last): ChunkKey| {
        if beginning != Some(first) {
            let Some(left) = beginnings_left.checked_sub(1) else { return false };
            (*beginnings_left, beginning) = (left, Some(first));
        }
        if last > after {
            keys.push((first, last));
        }
        true
    };
    journal.keys_down(bucket, after, keep).await?;
    Ok(keys)
}

/// Takes a bucket's chunks that begin behind what the reader has; says how many there were if those behind them may matter,
/// too.
async fn collect_behind<Journal: Buckets>(
    journal: &Journal,
    bucket: u32,
    page: &mut Page,
) -> Result<ControlFlow<(), usize>, Journal::Error> {
    let mut outcome = ControlFlow::Continue(0);
    let after = page.wanted().after.unwrap_or_default();
    let keep = |chunk: &StoredChunk<'_, Journal::Error>| {
        let taken = take(chunk, page)?;
        outcome = taken.map_continue(|()| outcome.continue_value().unwrap_or_default() + 1);
        Ok(taken.is_continue())
    };
    journal.chunks_behind(bucket, after, keep).await?;
    Ok(outcome)
}

fn take<E>(chunk: &StoredChunk<'_, E>, page: &mut Page) -> Result<ControlFlow<()>, E> {
    page.take(chunk.key, chunk.facts)
}

#[cfg(test)]
mod tests;
