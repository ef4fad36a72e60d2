//! Which buckets and chunks of a journal are read.
//!
//! A chunk stands in the bucket that its first launch is counted into: the window's launches below that one, div the size of a
//! bucket. Its other launches may belong to the next count already. A chunk never has more launches than a bucket, so that
//! no bucket is empty in front of one that is not, and what reaches behind a place begins in that place's bucket or the one
//! before. Chunks overlap where a replay cut them otherwise.

use std::ops::ControlFlow;

use ledger::Place;
use protocol::{
    commit::{JOURNAL_BUCKET_FACTS, MAX_CHUNK_FACTS},
    load::JournalEntry,
};

use crate::{
    LaunchesPage, StoreError,
    page::{Page, Wanted},
};

/// First and last place of a chunk.
pub(super) type ChunkKey = (Place, Place);

/// A chunk as it is stored.
pub(super) struct Chunk<'a> {
    pub(super) key: ChunkKey,
    /// Digests and lines; `None` while one of them is missing.
    pub(super) columns: Option<(&'a [u8], &'a [u8])>,
}

/// How many launches a bucket and a chunk may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) bucket_facts: u64,
    pub(super) chunk_facts: usize,
}

/// What journals are written with.
pub(super) const SIZES: Sizes = {
    assert!(MAX_CHUNK_FACTS as u64 <= JOURNAL_BUCKET_FACTS);
    Sizes { bucket_facts: JOURNAL_BUCKET_FACTS, chunk_facts: MAX_CHUNK_FACTS }
};

/// A window's journal, bucket by bucket. A bucket has its chunks in the order of their keys.
pub(super) trait Buckets {
    /// Where the first chunk of a bucket begins.
    async fn first_place(&self, bucket: u32) -> Result<Option<Place>, StoreError>;

    /// Keys of chunks that begin at or before `from`, the last one first, until `take` wants no more (false).
    async fn keys_down(
        &self,
        bucket: u32,
        from: Place,
        take: impl FnMut(ChunkKey) -> bool + Send,
    ) -> Result<(), StoreError>;

    /// The chunk of a key.
    async fn chunk(
        &self,
        bucket: u32,
        key: ChunkKey,
        take: impl FnMut(&Chunk<'_>) -> Result<bool, StoreError> + Send,
    ) -> Result<(), StoreError>;

    /// Chunks that begin behind `after`, until `take` wants no more (false).
    async fn chunks_behind(
        &self,
        bucket: u32,
        after: Place,
        take: impl FnMut(&Chunk<'_>) -> Result<bool, StoreError> + Send,
    ) -> Result<(), StoreError>;

    /// Adds what a worker loads of all chunks of a bucket, in any order.
    async fn entries(&self, bucket: u32, entries: &mut Vec<JournalEntry>) -> Result<(), StoreError>;
}

/// The whole journal, as a worker loads it: buckets for as long as they are full.
pub(super) async fn load(journal: &impl Buckets, sizes: Sizes) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = Vec::new();
    let mut filled = sizes.bucket_facts;
    for bucket in 0.. {
        journal.entries(bucket, &mut entries).await?;
        entries.sort_unstable_by_key(|entry| (entry.place, entry.kind));
        entries.dedup_by_key(|entry| (entry.place, entry.kind));
        if (entries.len() as u64) < filled {
            break;
        }
        filled += sizes.bucket_facts;
    }
    Ok(entries)
}

/// A page of launches.
pub(super) async fn page(journal: &impl Buckets, sizes: Sizes, wanted: Wanted) -> Result<LaunchesPage, StoreError> {
    let mut page = Page::new(wanted);
    let mut bucket = 0;
    if let Some(after) = wanted.after {
        let (holds_after, is_last) = bucket_of(journal, after).await?;
        collect_reaching_behind(journal, sizes, holds_after, after, &mut page).await?;
        let chunks = collect_behind(journal, holds_after, &mut page).await?;
        // Nothing may be left behind the place in its own bucket; that says nothing of the next one.
        if is_last || chunks.is_break() {
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
async fn bucket_of(journal: &impl Buckets, place: Place) -> Result<(u32, bool), StoreError> {
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
async fn collect_reaching_behind(
    journal: &impl Buckets,
    sizes: Sizes,
    bucket: u32,
    after: Place,
    page: &mut Page,
) -> Result<(), StoreError> {
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
async fn keys_reaching_behind(
    journal: &impl Buckets,
    bucket: u32,
    after: Place,
    beginnings_left: &mut usize,
) -> Result<Vec<ChunkKey>, StoreError> {
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
async fn collect_behind(
    journal: &impl Buckets,
    bucket: u32,
    page: &mut Page,
) -> Result<ControlFlow<(), usize>, StoreError> {
    let mut outcome = ControlFlow::Continue(0);
    let after = page.wanted.after.unwrap_or_default();
    let keep = |chunk: &Chunk<'_>| {
        let taken = take(chunk, page)?;
        outcome = taken.map_continue(|()| outcome.continue_value().unwrap_or_default() + 1);
        Ok(taken.is_continue())
    };
    journal.chunks_behind(bucket, after, keep).await?;
    Ok(outcome)
}

/// Takes what is wanted of a chunk; breaks when neither it nor any behind it can matter.
fn take(chunk: &Chunk<'_>, page: &mut Page) -> Result<ControlFlow<()>, StoreError> {
    let (first, last) = chunk.key;
    if first.sequence > page.wanted.upto || page.is_full_before(first) {
        return Ok(ControlFlow::Break(()));
    }
    if let Some((digests, lines)) = chunk.columns
        && page.wanted.is_behind(last)
    {
        page.add(digests, lines)?;
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests;
