use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    ops::Range,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use ledger::{Amount, Currency, Digest, Fact, Kind};
use proptest::{prelude::*, sample::Index};

use super::*;

/// A journal in memory: the launches of each chunk under its bucket and key.
#[derive(Debug, Default)]
struct InMemory(BTreeMap<(u32, ChunkKey), Vec<Fact>>);

impl InMemory {
    fn write(&mut self, facts: &[Fact], cut: Range<usize>, sizes: Sizes) {
        let bucket = u32::try_from(cut.start as u64 / sizes.bucket_facts).unwrap();
        let facts = &facts[cut];
        self.0.insert((bucket, (facts[0].place, facts[facts.len() - 1].place)), facts.to_vec());
    }

    fn bucket(&self, bucket: u32) -> impl DoubleEndedIterator<Item = StoredChunk<'_, Infallible>> {
        let chunks = self.0.iter().filter(move |((of, _), _)| *of == bucket);
        chunks.map(|((_, key), facts)| StoredChunk { key: *key, facts: Some(facts) })
    }
}

impl Buckets for InMemory {
    type Error = Infallible;

    async fn first_place(&self, bucket: u32) -> Result<Option<Place>, Infallible> {
        Ok(self.bucket(bucket).next().map(|chunk| chunk.key.0))
    }

    async fn keys_down(
        &self,
        bucket: u32,
        from: Place,
        mut take: impl FnMut(ChunkKey) -> bool + Send,
    ) -> Result<(), Infallible> {
        let keys = self.bucket(bucket).rev().map(|chunk| chunk.key).filter(|(first, _)| *first <= from);
        keys.take_while(|key| take(*key)).for_each(drop);
        Ok(())
    }

    async fn chunk(
        &self,
        bucket: u32,
        key: ChunkKey,
        mut take: impl FnMut(&StoredChunk<'_, Infallible>) -> Result<bool, Infallible> + Send,
    ) -> Result<(), Infallible> {
        self.bucket(bucket).filter(|chunk| chunk.key == key).try_for_each(|chunk| take(&chunk).map(drop))
    }

    async fn chunks_behind(
        &self,
        bucket: u32,
        after: Place,
        mut take: impl FnMut(&StoredChunk<'_, Infallible>) -> Result<bool, Infallible> + Send,
    ) -> Result<(), Infallible> {
        for chunk in self.bucket(bucket).filter(|chunk| chunk.key.0 > after) {
            if !take(&chunk)? {
                break;
            }
        }
        Ok(())
    }

    async fn entries(&self, bucket: u32, entries: &mut Vec<JournalEntry>) -> Result<(), Infallible> {
        let entry = |fact: &Fact| {
            let Fact { place, id_digest, content_digest, kind, currency, .. } = *fact;
            JournalEntry { place, id_digest, content_digest, kind, currency }
        };
        let chunks = self.0.iter().filter(|((of, _), _)| *of == bucket);
        entries.extend(chunks.flat_map(|(_, facts)| facts).map(entry));
        Ok(())
    }
}

/// What a future comes to that waits for nothing.
fn at_once<T>(future: impl Future<Output = Result<T, Infallible>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(done)) => done,
        Poll::Pending => panic!("a journal in memory waits for nothing"),
    }
}

/// A journal, and the launches that it was written from.
#[derive(Debug)]
struct Written {
    sizes: Sizes,
    facts: Vec<Fact>,
    journal: InMemory,
    /// Every launch before this one is there.
    complete: usize,
}

fn fact(place: Place) -> Fact {
    let digest = Digest::of(format!("{place:?}").as_bytes());
    Fact {
        place,
        id_digest: digest,
        content_digest: Digest::of(&digest.0),
        kind: Kind::Credit,
        currency: Currency::parse("BRL").unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        line: Bytes::from_static(b"{}"),
    }
}

/// Up to so many launches, one or more a message, with gaps between.
fn facts(most: usize) -> impl Strategy<Value = Vec<Fact>> {
    let steps = prop::collection::vec((0_u64..3, 1_u32..3), 0..most);
    steps.prop_map(|steps| {
        let (mut sequence, mut line) = (1, 0);
        let place = |(messages, lines): (u64, u32)| {
            line = if messages == 0 { line + lines } else { lines };
            sequence += messages;
            Place { sequence, line }
        };
        steps.into_iter().map(place).map(fact).collect()
    })
}

/// Journals of small buckets: written once from end to end, and again by replays that begin anywhere and cut otherwise; some
/// chunks of the last commit are missing.
fn written() -> impl Strategy<Value = Written> {
    let sizes = (1_usize..6, 0_u64..5).prop_map(|(chunk_facts, more)| {
        let bucket_facts = chunk_facts as u64 + more;
        Sizes { bucket_facts, chunk_facts, ..SIZES }
    });
    let replays = prop::collection::vec((any::<Index>(), prop::collection::vec(1_usize..6, 40)), 0..5);
    let last_commit = (any::<Index>(), prop::collection::vec(any::<bool>(), 40));
    (sizes, facts(40), prop::collection::vec(1_usize..6, 40), replays, last_commit).prop_map(
        |(sizes, facts, lengths, replays, (complete, landed))| {
            let complete = complete.index(facts.len() + 1);
            let mut journal = InMemory::default();
            for cut in cuts(0..complete, &lengths, sizes) {
                journal.write(&facts, cut, sizes);
            }
            for (start, lengths) in replays {
                for cut in cuts(start.index(complete + 1)..complete, &lengths, sizes) {
                    journal.write(&facts, cut, sizes);
                }
            }
            for (cut, has_landed) in cuts(complete..facts.len(), &lengths, sizes).into_iter().zip(landed) {
                if has_landed {
                    journal.write(&facts, cut, sizes);
                }
            }
            Written { sizes, facts, journal, complete }
        },
    )
}

fn cuts(range: Range<usize>, lengths: &[usize], sizes: Sizes) -> Vec<Range<usize>> {
    let (mut cuts, mut start) = (Vec::new(), range.start);
    for length in lengths.iter().cycle().take(range.len()) {
        let end = range.end.min(start + sizes.chunk_facts.min(*length));
        if end > start {
            cuts.push(start..end);
        }
        start = end;
    }
    cuts
}

impl Written {
    /// The last message of which every launch is there.
    fn claimed(&self) -> u64 {
        let next = self.facts.get(self.complete).map_or(u64::MAX, |fact| fact.place.sequence);
        let below = self.facts[..self.complete].iter().rev().map(|fact| fact.place.sequence);
        below.into_iter().find(|sequence| *sequence < next).unwrap_or(0)
    }

    fn page(&self, after: Option<Place>, upto: u64, limit: usize) -> LaunchesPage {
        at_once(page(&self.journal, self.sizes, Wanted { after, upto, limit }))
    }

    /// Places to begin at: every launch's, and those between and around them.
    fn starts(&self) -> BTreeSet<Option<Place>> {
        let around = |place: Place| [place, Place { line: place.line - 1, ..place }, Place { line: u32::MAX, ..place }];
        let places = self.facts.iter().flat_map(|fact| around(fact.place)).map(Some);
        places.chain([None, Some(Place::default()), Some(Place { sequence: u64::MAX, line: u32::MAX })]).collect()
    }

    fn wanted(&self, after: Option<Place>, upto: u64) -> impl Iterator<Item = &Fact> {
        let is_behind = move |fact: &&Fact| after.is_none_or(|after| fact.place > after);
        self.facts.iter().filter(is_behind).filter(move |fact| fact.place.sequence <= upto)
    }
}

proptest! {
    #[test]
    fn a_page_of_any_size_from_any_place_has_what_a_naive_reader_finds(written in written()) {
        let claimed = written.claimed();
        for after in written.starts() {
            for upto in (0..=claimed).rev().take(4).chain([0, 1]).filter(|upto| *upto <= claimed) {
                for limit in [1, 2, 3, 5, 8, 100] {
                    let expected: Vec<_> = written.wanted(after, upto).take(limit).cloned().collect();
                    let more = written.wanted(after, upto).count() > limit;
                    prop_assert_eq!(written.page(after, upto, limit), LaunchesPage { facts: expected, more });
                }
            }
        }
    }

    #[test]
    fn a_worker_loads_every_launch_that_is_claimed(written in written()) {
        let loaded = at_once(load(&written.journal, written.sizes));
        let places: Vec<_> = loaded.iter().map(|entry| entry.place).collect();
        let expected: Vec<_> = written.facts[..written.complete].iter().map(|fact| fact.place).collect();
        prop_assert!(places.starts_with(&expected), "{places:?} lack some of {expected:?}");
        prop_assert!(places.is_sorted_by(|one, next| one < next));
    }
}

/// More chunks begin in a bucket in front of the place than a chunk may have launches, but at few of them, for replays have cut
/// them differently. What begins in the bucket before must still be found.
#[test]
fn chunks_that_begin_alike_do_not_hide_those_before_them() {
    let sizes = Sizes { bucket_facts: 5, chunk_facts: 5, ..SIZES };
    let facts: Vec<_> = (1..=10).map(|sequence| fact(Place { sequence, line: 1 })).collect();
    let mut journal = InMemory::default();
    // The launch behind the place stands in one chunk only.
    for cut in [0..4, 4..9, 5..6, 5..7, 5..8, 6..7, 6..8, 7..8, 9..10] {
        journal.write(&facts, cut, sizes);
    }
    let written = Written { sizes, complete: facts.len(), facts, journal };
    let page = written.page(Some(written.facts[7].place), u64::MAX, 1);
    assert_eq!(page, LaunchesPage { facts: vec![written.facts[8].clone()], more: true });
}
