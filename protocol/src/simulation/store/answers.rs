//! What a store answers to one request, out of its tables.

use std::ops::Bound;

use ledger::{Fact, Place, WindowKey};

use super::{
    SimulatedStore,
    requests::{Answer, Request},
    view,
};
use crate::{
    simulation::tables::{Chunks, OwnerRows, Tables},
    store_reading::{
        page::{ChunkKey, LaunchesPage, Page, Wanted},
        spans::SpanClasses,
    },
};

/// A page of a server's answer.
const CHUNKS_OF_A_PAGE: usize = 2;
/// Spans are short here: many classes.
const SPAN_CLASSES: SpanClasses = SpanClasses::of_bits(1);
const LOWEST: ChunkKey = (Place { sequence: 0, line: 0 }, Place { sequence: 0, line: 0 });
const HIGHEST: Place = Place { sequence: u64::MAX, line: u32::MAX };

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replica {
    /// One that has forgotten what any may have forgotten.
    Any,
    /// One that has kept everything.
    Kept,
    /// As any, but the static columns of an owner were repaired from one that has kept everything.
    Repaired,
}

impl SimulatedStore {
    pub(crate) fn answer(&self, request: &Request, replica: Replica) -> Answer {
        let tables = match replica {
            Replica::Any | Replica::Repaired => &self.current,
            Replica::Kept => &self.kept,
        };
        let statics = if replica == Replica::Any { &self.current } else { &self.kept };
        match request {
            Request::View(account, ranges) => {
                let stored = tables.balances.get(account);
                let rows = stored.map(|stored| stored.view_split(ranges, self.rules.near));
                Answer::View((stored.map(|stored| stored.applied), rows.unwrap_or_default()))
            }
            Request::Page(window, wanted) => Answer::Page(self.page_by_spans(window, *wanted)),
            Request::Batch(account) => Answer::Batch(statics.balances.get(account).map(OwnerRows::last_batch)),
            Request::Rows(account, range) => {
                let applied = statics.balances.get(account).map(|owner| owner.applied);
                let (_, rows) = view(tables.balances.get(account), &[*range]);
                Answer::Rows(rows.into_iter().map(|(key, balance)| (key, balance, applied)).collect())
            }
            Request::FirstPlace(window, bucket) => {
                Answer::FirstPlace(bucket_of(tables, window, *bucket).next().map(|((first, _), _)| first))
            }
            Request::KeysDown(window, bucket, from) => {
                let keys = bucket_of(tables, window, *bucket).map(|(key, _)| key).filter(|(first, _)| first <= from);
                let mut keys: Vec<ChunkKey> = keys.collect();
                keys.reverse();
                Answer::Keys(keys)
            }
            Request::Chunk(window, bucket, key) => {
                Answer::Chunks(owned(bucket_of(tables, window, *bucket).filter(|(known, _)| known == key)))
            }
            Request::ChunksBehind(window, bucket, after, last) => {
                let is_wanted = |key: ChunkKey| key.0 > *after && last.is_none_or(|last| key > last);
                let chunks = bucket_of(tables, window, *bucket).filter(|(key, _)| is_wanted(*key));
                Answer::Chunks(owned(chunks.take(CHUNKS_OF_A_PAGE)))
            }
            Request::Entries(window, bucket) => {
                let halves = self.halves.journal.get(window).into_iter().flat_map(|chunks| of_bucket(chunks, *bucket));
                Answer::Chunks(owned(bucket_of(tables, window, *bucket).chain(halves)))
            }
        }
    }

    /// A page of launches as the embedded store reads it: class by class, each from the lowest place on from which a chunk
    /// can reach behind the reader's.
    fn page_by_spans(&self, window: &WindowKey, wanted: Wanted) -> LaunchesPage {
        let mut page = Page::new(wanted);
        let after = wanted.after.unwrap_or_default();
        let chunks = self.current.journal.get(window);
        for class in SPAN_CLASSES.all() {
            let start = if self.rules.seeks_before_the_place { SPAN_CLASSES.start(class, after) } else { after };
            let chunks = chunks.into_iter().flatten().map(|((_, first, last), facts)| ((*first, *last), facts));
            let chunks = chunks.filter(|(key, _)| SPAN_CLASSES.class(*key) == class && key.0 >= start);
            for (key, facts) in chunks {
                let Ok(taken) = page.take(key, Some(facts));
                if taken.is_break() {
                    break;
                }
            }
        }
        page.finish()
    }
}

fn bucket_of<'a>(
    tables: &'a Tables,
    window: &WindowKey,
    bucket: u32,
) -> impl Iterator<Item = (ChunkKey, &'a Vec<Fact>)> + use<'a> {
    tables.journal.get(window).into_iter().flat_map(move |chunks| of_bucket(chunks, bucket))
}

fn of_bucket(chunks: &Chunks, bucket: u32) -> impl Iterator<Item = (ChunkKey, &Vec<Fact>)> {
    let bounds = (Bound::Included((bucket, LOWEST.0, LOWEST.1)), Bound::Included((bucket, HIGHEST, HIGHEST)));
    chunks.range(bounds).map(|((_, first, last), facts)| ((*first, *last), facts))
}

fn owned<'a>(chunks: impl Iterator<Item = (ChunkKey, &'a Vec<Fact>)>) -> Vec<(ChunkKey, Vec<Fact>)> {
    chunks.map(|(key, facts)| (key, facts.clone())).collect()
}
