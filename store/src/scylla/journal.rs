//! Journals: the union of a window's chunks, over its buckets.
//!
//! [`protocol::store_reading::buckets`] decides which buckets and chunks are read; this module reads them from a server.
//!
//! A chunk whose write was never acknowledged may be there by half, for a read repairs only the columns that it reads. Such
//! a chunk is not there: what it holds lies above every position that is claimed.

use ledger::{Place, WindowKey};
use protocol::{
    load::{JournalEntry, WindowLoaded},
    store_reading::{
        buckets::{self, Buckets, SIZES, StoredChunk},
        page::{ChunkFacts, ChunkKey, Wanted},
    },
};
use scylla::{response::query_result::QueryRowsResult, value::CqlDate};

use super::{
    Connected,
    trouble::unreadable,
    value::{bigint_bound, date, int, place},
};
use crate::{LaunchesPage, StoreError, encoding::decode_entries, page::EncodedChunk};

/// The partition of a bucket of a window.
type Bucket<'a> = (&'a str, &'a str, CqlDate, i32);

impl Connected {
    /// A window's journal without its lines, as a worker loads it.
    pub(super) async fn load_window(&self, window: &WindowKey) -> Result<WindowLoaded, StoreError> {
        let entries = buckets::load(&OnServer { connected: self, window }, SIZES).await?;
        Ok(WindowLoaded { window: window.clone(), entries })
    }

    /// A page of a window's launches.
    pub(super) async fn launches_page(&self, window: &WindowKey, wanted: Wanted) -> Result<LaunchesPage, StoreError> {
        buckets::page(&OnServer { connected: self, window }, SIZES, wanted).await
    }
}

/// A window's journal on a server.
struct OnServer<'a> {
    connected: &'a Connected,
    window: &'a WindowKey,
}

impl OnServer<'_> {
    fn bucket(&self, bucket: u32) -> Bucket<'_> {
        let WindowKey { tenant, account, date: day } = self.window;
        (tenant.as_str(), account.as_str(), date(*day), int(bucket))
    }
}

impl Buckets for OnServer<'_> {
    type Error = StoreError;

    async fn first_place(&self, bucket: u32) -> Result<Option<Place>, StoreError> {
        let mut first = None;
        let keep = |rows: &QueryRowsResult| {
            let row = rows.maybe_first_row::<(i64, i32)>().map_err(unreadable)?;
            first = row.map(|(sequence, line)| place(sequence, line)).transpose()?;
            Ok(first.is_none())
        };
        self.connected.client.read(&self.connected.statements.first_chunk, self.bucket(bucket), keep).await?;
        Ok(first)
    }

    async fn keys_down(
        &self,
        bucket: u32,
        from: Place,
        mut take: impl FnMut(ChunkKey) -> bool + Send,
    ) -> Result<(), StoreError> {
        let (tenant, account, date, bucket) = self.bucket(bucket);
        let values = (tenant, account, date, bucket, bigint_bound(from.sequence), int(from.line));
        let keep = |rows: &QueryRowsResult| {
            for row in rows.rows::<(i64, i32, i64, i32)>().map_err(unreadable)? {
                let (first, first_line, last, last_line) = row.map_err(unreadable)?;
                if !take((place(first, first_line)?, place(last, last_line)?)) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.connected.client.read(&self.connected.statements.chunk_keys_down, values, keep).await
    }

    async fn chunk(
        &self,
        bucket: u32,
        (first, last): ChunkKey,
        take: impl FnMut(&StoredChunk<'_, StoreError>) -> Result<bool, StoreError> + Send,
    ) -> Result<(), StoreError> {
        let (tenant, account, date, bucket) = self.bucket(bucket);
        let (first, first_line) = (bigint_bound(first.sequence), int(first.line));
        let (last, last_line) = (bigint_bound(last.sequence), int(last.line));
        let values = (tenant, account, date, bucket, first, first_line, last, last_line);
        self.connected.client.read(&self.connected.statements.chunk, values, each_chunk(take)).await
    }

    async fn chunks_behind(
        &self,
        bucket: u32,
        after: Place,
        take: impl FnMut(&StoredChunk<'_, StoreError>) -> Result<bool, StoreError> + Send,
    ) -> Result<(), StoreError> {
        let (tenant, account, date, bucket) = self.bucket(bucket);
        let values = (tenant, account, date, bucket, bigint_bound(after.sequence), int(after.line));
        self.connected.client.read(&self.connected.statements.chunks, values, each_chunk(take)).await
    }

    async fn entries(&self, bucket: u32, entries: &mut Vec<JournalEntry>) -> Result<(), StoreError> {
        let keep = |rows: &QueryRowsResult| {
            for row in rows.rows::<(Option<&[u8]>,)>().map_err(unreadable)? {
                let (digests,) = row.map_err(unreadable)?;
                digests.map_or(Ok(()), |digests| decode_entries(digests, entries))?;
            }
            Ok(true)
        };
        self.connected.client.read(&self.connected.statements.digests, self.bucket(bucket), keep).await
    }
}

/// Hands over the chunks of an answer one by one; false as soon as no more are wanted.
fn each_chunk(
    mut take: impl FnMut(&StoredChunk<'_, StoreError>) -> Result<bool, StoreError> + Send,
) -> impl FnMut(&QueryRowsResult) -> Result<bool, StoreError> + Send {
    move |rows| {
        type Columns<'a> = (i64, i32, i64, i32, Option<&'a [u8]>, Option<&'a [u8]>);
        for row in rows.rows::<Columns<'_>>().map_err(unreadable)? {
            let (first, first_line, last, last_line, digests, lines) = row.map_err(unreadable)?;
            let key = (place(first, first_line)?, place(last, last_line)?);
            let chunk = digests.zip(lines).map(|(digests, lines)| EncodedChunk { digests, lines });
            let facts = chunk.as_ref().map(|chunk| chunk as &dyn ChunkFacts<StoreError>);
            if !take(&StoredChunk { key, facts })? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
