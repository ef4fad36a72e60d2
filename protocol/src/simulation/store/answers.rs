//! What a store answers to one request, out of its tables.

use std::ops::Bound;

use ledger::{AccountKey, BusinessDate, Fact, Grain, Place, WindowKey};

use super::{
    SimulatedStore,
    requests::{Answer, Request},
    view,
};
use crate::{
    simulation::tables::Chunks,
    store_reading::{
        moment::StampedRow,
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

impl SimulatedStore {
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        match request {
            Request::View(account, ranges) => {
                let stored = self.current.balances.get(account);
                let rows = stored.map(|stored| stored.view_split(ranges, self.rules.near));
                Answer::View((stored.map(|stored| stored.applied), rows.unwrap_or_default()))
            }
            Request::Page(window, wanted) => Answer::Page(self.page_by_spans(window, *wanted)),
            Request::Applied(account) => Answer::Applied(self.applied(account)),
            Request::Rows(account, range) => Answer::Rows(self.rows_of_range(account, *range)),
            Request::FirstPlace(window, bucket) => {
                Answer::FirstPlace(self.bucket(window, *bucket).next().map(|((first, _), _)| first))
            }
            Request::KeysDown(window, bucket, from) => {
                let keys = self.bucket(window, *bucket).map(|(key, _)| key).filter(|(first, _)| first <= from);
                let mut keys: Vec<ChunkKey> = keys.collect();
                keys.reverse();
                Answer::Keys(keys)
            }
            Request::Chunk(window, bucket, key) => {
                Answer::Chunks(owned(self.bucket(window, *bucket).filter(|(known, _)| known == key)))
            }
            Request::ChunksBehind(window, bucket, after, last) => {
                let is_wanted = |key: ChunkKey| key.0 > *after && last.is_none_or(|last| key > last);
                let chunks = self.bucket(window, *bucket).filter(|(key, _)| is_wanted(*key));
                Answer::Chunks(owned(chunks.take(CHUNKS_OF_A_PAGE)))
            }
            Request::Entries(window, bucket) => {
                let halves = self.halves.journal.get(window).into_iter().flat_map(|chunks| of_bucket(chunks, *bucket));
                Answer::Chunks(owned(self.bucket(window, *bucket).chain(halves)))
            }
        }
    }

    fn applied(&self, account: &AccountKey) -> Option<u64> {
        self.current.balances.get(account).map(|owner| owner.applied)
    }

    fn rows_of_range(&self, account: &AccountKey, range: (Grain, BusinessDate, BusinessDate)) -> Vec<StampedRow> {
        let (applied, rows) = view(self.current.balances.get(account), &[range]);
        rows.into_iter().map(|(key, balance)| (key, balance, applied)).collect()
    }

    fn bucket<'a>(&'a self, window: &WindowKey, bucket: u32) -> impl Iterator<Item = (ChunkKey, &'a Vec<Fact>)> {
        self.current.journal.get(window).into_iter().flat_map(move |chunks| of_bucket(chunks, bucket))
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

fn of_bucket(chunks: &Chunks, bucket: u32) -> impl Iterator<Item = (ChunkKey, &Vec<Fact>)> {
    let bounds = (Bound::Included((bucket, LOWEST.0, LOWEST.1)), Bound::Included((bucket, HIGHEST, HIGHEST)));
    chunks.range(bounds).map(|((_, first, last), facts)| ((*first, *last), facts))
}

fn owned<'a>(chunks: impl Iterator<Item = (ChunkKey, &'a Vec<Fact>)>) -> Vec<(ChunkKey, Vec<Fact>)> {
    chunks.map(|(key, facts)| (key, facts.clone())).collect()
}
