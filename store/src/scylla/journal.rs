//! Journals: the union of a window's chunks, over its buckets.
//!
//! A chunk stands in the bucket of its first launch, counted within the window, and buckets are filled one after another:
//! the next one has something only when those before it hold as many launches as they can. Chunks overlap where a replay
//! cut them otherwise; one has at most [`MAX_CHUNK_FACTS`] launches, which bounds how far back one may begin that reaches
//! behind a place.
//!
//! A chunk whose write was never acknowledged may be there by half, for a read repairs only the columns that it reads. Such
//! a chunk is not there: what it holds lies above every position that is claimed.

use ledger::{Place, WindowKey};
use protocol::{
    commit::{JOURNAL_BUCKET_FACTS, MAX_CHUNK_FACTS},
    load::WindowLoaded,
};
use scylla::{response::query_result::QueryRowsResult, value::CqlDate};

use super::{
    Connected,
    trouble::unreadable,
    value::{bigint_bound, date, int, place},
};
use crate::{
    LaunchesPage, StoreError,
    encoding::decode_entries,
    page::{Page, Wanted},
};

/// The partition of a bucket of a window.
type Bucket<'a> = (&'a str, &'a str, CqlDate, i32);
/// First and last place of a chunk.
type ChunkKey = (Place, Place);

fn bucket_of(window: &WindowKey, bucket: u32) -> Bucket<'_> {
    (window.tenant.as_str(), window.account.as_str(), date(window.date), int(bucket))
}

impl Connected {
    /// A window's journal without its lines, as a worker loads it.
    pub(super) async fn load_window(&self, window: &WindowKey) -> Result<WindowLoaded, StoreError> {
        let mut entries = Vec::new();
        let mut filled = JOURNAL_BUCKET_FACTS;
        for bucket in 0.. {
            let keep = |page: &QueryRowsResult| {
                for row in page.rows::<(Option<&[u8]>,)>().map_err(unreadable)? {
                    let (digests,) = row.map_err(unreadable)?;
                    digests.map_or(Ok(()), |digests| decode_entries(digests, &mut entries))?;
                }
                Ok(true)
            };
            self.client.read(&self.statements.digests, bucket_of(window, bucket), keep).await?;
            entries.sort_unstable_by_key(|entry| (entry.place, entry.kind));
            entries.dedup_by_key(|entry| (entry.place, entry.kind));
            if (entries.len() as u64) < filled {
                break;
            }
            filled += JOURNAL_BUCKET_FACTS;
        }
        Ok(WindowLoaded { window: window.clone(), entries })
    }

    /// A page of a window's launches.
    pub(super) async fn launches_page(&self, window: &WindowKey, wanted: Wanted) -> Result<LaunchesPage, StoreError> {
        let mut page = Page::new(wanted);
        let mut bucket = 0;
        if let Some(after) = wanted.after {
            bucket = self.last_bucket_up_to(window, after).await?;
            self.collect_reaching_behind(window, bucket, after, &mut page).await?;
        }
        while self.collect_bucket(window, bucket, &mut page).await? {
            bucket += 1;
        }
        Ok(page.finish())
    }

    /// The last bucket that begins at or before `place`.
    async fn last_bucket_up_to(&self, window: &WindowKey, place: Place) -> Result<u32, StoreError> {
        let mut bucket = 0;
        while self.first_place(window, bucket + 1).await?.is_some_and(|first| first <= place) {
            bucket += 1;
        }
        Ok(bucket)
    }

    async fn first_place(&self, window: &WindowKey, bucket: u32) -> Result<Option<Place>, StoreError> {
        let mut first = None;
        let keep = |page: &QueryRowsResult| {
            let row = page.maybe_first_row::<(i64, i32)>().map_err(unreadable)?;
            first = row.map(|(sequence, line)| place(sequence, line)).transpose()?;
            Ok(false)
        };
        self.client.read(&self.statements.first_chunk, bucket_of(window, bucket), keep).await?;
        Ok(first)
    }

    /// Takes the chunks that begin at or before `after` and reach behind it: in this bucket, or at the end of the one before.
    async fn collect_reaching_behind(
        &self,
        window: &WindowKey,
        bucket: u32,
        after: Place,
        page: &mut Page,
    ) -> Result<(), StoreError> {
        let mut looked_at = 0;
        for bucket in (bucket.saturating_sub(1)..=bucket).rev() {
            let keys = self.chunk_keys_down(window, bucket, after, MAX_CHUNK_FACTS - looked_at).await?;
            looked_at += keys.len();
            for key in keys.into_iter().filter(|(_, last)| *last > after) {
                self.collect_chunk(window, bucket, key, page).await?;
            }
            // So many chunks begin at as many launches: none before them reaches this far.
            if looked_at >= MAX_CHUNK_FACTS {
                break;
            }
        }
        Ok(())
    }

    /// Keys of chunks from `from` on downwards, with at most so many different beginnings.
    async fn chunk_keys_down(
        &self,
        window: &WindowKey,
        bucket: u32,
        from: Place,
        beginnings: usize,
    ) -> Result<Vec<ChunkKey>, StoreError> {
        let (mut keys, mut known): (Vec<ChunkKey>, usize) = (Vec::new(), 0);
        let (tenant, account, date, bucket) = bucket_of(window, bucket);
        let values = (tenant, account, date, bucket, bigint_bound(from.sequence), int(from.line));
        let keep = |page: &QueryRowsResult| {
            for row in page.rows::<(i64, i32, i64, i32)>().map_err(unreadable)? {
                let (first, first_line, last, last_line) = row.map_err(unreadable)?;
                let key = (place(first, first_line)?, place(last, last_line)?);
                known += usize::from(keys.last().is_none_or(|(first, _)| *first != key.0));
                if known > beginnings {
                    return Ok(false);
                }
                keys.push(key);
            }
            Ok(true)
        };
        self.client.read(&self.statements.chunk_keys_down, values, keep).await?;
        Ok(keys)
    }

    async fn collect_chunk(
        &self,
        window: &WindowKey,
        bucket: u32,
        (first, last): ChunkKey,
        page: &mut Page,
    ) -> Result<(), StoreError> {
        let (tenant, account, date, bucket) = bucket_of(window, bucket);
        let (first, first_line) = (bigint_bound(first.sequence), int(first.line));
        let (last, last_line) = (bigint_bound(last.sequence), int(last.line));
        let values = (tenant, account, date, bucket, first, first_line, last, last_line);
        self.client.read(&self.statements.chunk, values, |rows| collect(rows, page)).await
    }

    /// Takes the chunks of a bucket that begin behind what the reader has; says whether the next bucket is to be looked at.
    async fn collect_bucket(&self, window: &WindowKey, bucket: u32, page: &mut Page) -> Result<bool, StoreError> {
        let (mut found, mut goes_on) = (false, true);
        let from = page.wanted.after.unwrap_or_default();
        let (tenant, account, date, bucket) = bucket_of(window, bucket);
        let values = (tenant, account, date, bucket, bigint_bound(from.sequence), int(from.line));
        let keep = |rows: &QueryRowsResult| {
            found |= rows.rows_num() > 0;
            goes_on = collect(rows, page)?;
            Ok(goes_on)
        };
        self.client.read(&self.statements.chunks, values, keep).await?;
        Ok(found && goes_on)
    }
}

/// Takes chunks in order; false when none behind them can matter.
fn collect(rows: &QueryRowsResult, page: &mut Page) -> Result<bool, StoreError> {
    type Columns<'a> = (i64, i32, i64, i32, Option<&'a [u8]>, Option<&'a [u8]>);
    for row in rows.rows::<Columns<'_>>().map_err(unreadable)? {
        let (first, first_line, last, last_line, digests, lines) = row.map_err(unreadable)?;
        let (first, last) = (place(first, first_line)?, place(last, last_line)?);
        if first.sequence > page.wanted.upto || page.is_full_before(first) {
            return Ok(false);
        }
        if let (Some(digests), Some(lines)) = (digests, lines)
            && page.wanted.is_behind(last)
        {
            page.add(digests, lines)?;
        }
    }
    Ok(true)
}
