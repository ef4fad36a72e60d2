//! What is asked of a store, one request at a time, and the reading algorithms of the real stores over it.
//!
//! A store that commits step by step is read as the CQL store is: range by range, bucket by bucket, page by page. An atomic
//! one is read as the embedded store is: snapshot by snapshot, journals by span class.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ledger::{AccountKey, Balance, BusinessDate, Fact, Grain, Place, RowKey, WindowKey};

use super::{SimulatedStore, StoreMode, answers::Replica};
use crate::{
    load::JournalEntry,
    store_reading::{
        Ranges,
        buckets::{self, Buckets, Sizes, StoredChunk},
        moment::{self, BatchRow, MomentRules, RowRanges, StampedRow, View},
        page::{ChunkFacts, ChunkKey, LaunchesPage, Wanted},
    },
};

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// An account's rows at one snapshot.
    View(AccountKey, Vec<(Grain, BusinessDate, BusinessDate)>),
    /// A page of launches at one snapshot.
    Page(WindowKey, Wanted),
    /// The static columns of an account.
    Batch(AccountKey),
    /// An account's rows of one range.
    Rows(AccountKey, (Grain, BusinessDate, BusinessDate)),
    /// Where the first chunk of a bucket begins.
    FirstPlace(WindowKey, u32),
    /// Keys of the chunks that begin at or before a place.
    KeysDown(WindowKey, u32, Place),
    /// The chunk of a key.
    Chunk(WindowKey, u32, ChunkKey),
    /// Some chunks that begin behind a place, behind the last one known.
    ChunksBehind(WindowKey, u32, Place, Option<ChunkKey>),
    /// All chunks of a bucket, also those of which readers see nothing yet.
    Entries(WindowKey, u32),
}

/// What a store answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    View(View),
    Page(LaunchesPage),
    Batch(Option<(u64, Vec<BatchRow>)>),
    Rows(Vec<StampedRow>),
    FirstPlace(Option<Place>),
    Keys(Vec<ChunkKey>),
    Chunks(Vec<(ChunkKey, Vec<Fact>)>),
}

/// Somebody who passes requests on to a store.
pub(crate) trait Asks: Sync {
    fn ask(&self, request: Request) -> impl Future<Output = Answer> + Send;
}

/// How the store is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) mode: StoreMode,
    pub(crate) sizes: Sizes,
    pub(crate) moment: MomentRules,
}

/// An account's rows at one moment; as they were found last where they change all the time.
pub(crate) async fn view(asks: &impl Asks, reading: Reading, account: &AccountKey, ranges: &Ranges) -> View {
    if reading.mode == StoreMode::Atomic {
        return match asks.ask(Request::View(account.clone(), ranges.to_vec())).await {
            Answer::View(view) => view,
            _ => View::default(),
        };
    }
    let rows = OfAccount { asks, account };
    loop {
        let Ok(found) = moment::view(&rows, ranges, reading.moment).await;
        if let Some(view) = found {
            return view;
        }
    }
}

/// A page of launches.
pub(crate) async fn launches(asks: &impl Asks, reading: Reading, window: &WindowKey, wanted: Wanted) -> LaunchesPage {
    if reading.mode == StoreMode::Atomic {
        return match asks.ask(Request::Page(window.clone(), wanted)).await {
            Answer::Page(page) => page,
            _ => LaunchesPage::default(),
        };
    }
    let Ok(page) = buckets::page(&OfWindow { asks, window }, reading.sizes, wanted).await;
    page
}

/// A journal as a worker of a store with buckets loads it.
async fn entries(asks: &impl Asks, reading: Reading, window: &WindowKey) -> Vec<JournalEntry> {
    let Ok(entries) = buckets::load(&OfWindow { asks, window }, reading.sizes).await;
    entries
}

/// An account's rows, range by range.
struct OfAccount<'a, A> {
    asks: &'a A,
    account: &'a AccountKey,
}

impl<A: Asks> RowRanges for OfAccount<'_, A> {
    type Error = Infallible;
    type Batch = Vec<BatchRow>;

    async fn batch(&self) -> Result<Option<(u64, Vec<BatchRow>)>, Infallible> {
        match self.asks.ask(Request::Batch(self.account.clone())).await {
            Answer::Batch(batch) => Ok(batch),
            _ => Ok(None),
        }
    }

    fn is_whole(&self, _: u64, batch: &Vec<BatchRow>, ranges: &Ranges, found: &[(RowKey, Balance)]) -> bool {
        moment::is_whole(batch, ranges, found)
    }

    async fn pause(&self, _: usize) {}

    async fn rows(&self, ranges: &Ranges) -> Result<Vec<Vec<StampedRow>>, Infallible> {
        let mut found = Vec::new();
        for range in ranges {
            if let Answer::Rows(rows) = self.asks.ask(Request::Rows(self.account.clone(), *range)).await {
                found.push(rows);
            }
        }
        Ok(found)
    }
}

/// A window's journal, bucket by bucket.
struct OfWindow<'a, A> {
    asks: &'a A,
    window: &'a WindowKey,
}

impl<A: Asks> OfWindow<'_, A> {
    async fn chunks(&self, request: Request) -> Vec<(ChunkKey, Vec<Fact>)> {
        match self.asks.ask(request).await {
            Answer::Chunks(chunks) => chunks,
            _ => Vec::new(),
        }
    }
}

impl<A: Asks> Buckets for OfWindow<'_, A> {
    type Error = Infallible;

    async fn first_place(&self, bucket: u32) -> Result<Option<Place>, Infallible> {
        match self.asks.ask(Request::FirstPlace(self.window.clone(), bucket)).await {
            Answer::FirstPlace(place) => Ok(place),
            _ => Ok(None),
        }
    }

    async fn keys_down(
        &self,
        bucket: u32,
        from: Place,
        mut take: impl FnMut(ChunkKey) -> bool + Send,
    ) -> Result<(), Infallible> {
        if let Answer::Keys(keys) = self.asks.ask(Request::KeysDown(self.window.clone(), bucket, from)).await {
            let _unwanted = keys.into_iter().find(|key| !take(*key));
        }
        Ok(())
    }

    async fn chunk(
        &self,
        bucket: u32,
        key: ChunkKey,
        mut take: impl FnMut(&StoredChunk<'_, Infallible>) -> Result<bool, Infallible> + Send,
    ) -> Result<(), Infallible> {
        for (key, facts) in self.chunks(Request::Chunk(self.window.clone(), bucket, key)).await {
            take(&StoredChunk { key, facts: Some(&facts) })?;
        }
        Ok(())
    }

    async fn chunks_behind(
        &self,
        bucket: u32,
        after: Place,
        mut take: impl FnMut(&StoredChunk<'_, Infallible>) -> Result<bool, Infallible> + Send,
    ) -> Result<(), Infallible> {
        let mut last = None;
        loop {
            let chunks = self.chunks(Request::ChunksBehind(self.window.clone(), bucket, after, last)).await;
            last = chunks.last().map(|(key, _)| *key);
            for (key, facts) in &chunks {
                if !take(&StoredChunk { key: *key, facts: Some(facts) })? {
                    return Ok(());
                }
            }
            if chunks.is_empty() {
                return Ok(());
            }
        }
    }

    async fn entries(&self, bucket: u32, entries: &mut Vec<JournalEntry>) -> Result<(), Infallible> {
        let chunks = self.chunks(Request::Entries(self.window.clone(), bucket)).await;
        entries.extend(chunks.iter().flat_map(|(_, facts)| facts).map(entry));
        Ok(())
    }
}

fn entry(fact: &Fact) -> JournalEntry {
    let Fact { place, id_digest, content_digest, kind, currency, .. } = *fact;
    JournalEntry { place, id_digest, content_digest, kind, currency }
}

impl ChunkFacts<Infallible> for Vec<Fact> {
    fn each(&self, is_wanted: &dyn Fn(Place) -> bool, found: &mut dyn FnMut(Fact)) -> Result<(), Infallible> {
        self.iter().filter(|fact| is_wanted(fact.place)).cloned().for_each(found);
        Ok(())
    }
}

/// Nothing happens between two requests.
impl Asks for SimulatedStore {
    async fn ask(&self, request: Request) -> Answer {
        self.answer(&request, Replica::Any)
    }
}

/// What a future comes to that waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

impl SimulatedStore {
    pub(crate) fn view_at_once(&self, account: &AccountKey, ranges: &Ranges) -> View {
        at_once(view(self, self.reading(), account, ranges))
    }

    pub(crate) fn launches_at_once(&self, window: &WindowKey, wanted: Wanted) -> LaunchesPage {
        at_once(launches(self, self.reading(), window, wanted))
    }

    pub(crate) fn entries_at_once(&self, window: &WindowKey) -> Vec<JournalEntry> {
        match self.mode {
            StoreMode::Stepwise => at_once(entries(self, self.reading(), window)),
            StoreMode::Atomic => self.current.all_facts(window).iter().map(entry).collect(),
        }
    }
}
