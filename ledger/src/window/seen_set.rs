//! The ids that a window has seen, in little more memory than the facts themselves take.

mod record;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use record::{Record, Remembered};

use super::Seen;
use crate::{Digest, Place};

/// The ids that a window has seen: id digest → content digest and first place.
///
/// At most 48 bytes a launch on the average of a filling window, where a hash map doubles: most ids stand in one array
/// sorted by digest, the newest in a small hash map in front of it. When the map holds an eighth of the array it is merged
/// into it, so an id is moved about nine times while its window fills. A window of few launches is an array only.
#[derive(Clone, Debug, Default)]
pub struct SeenSet {
    /// Sorted by id digest, without repeats.
    sorted: Vec<Record>,
    /// Ids that are not in `sorted`.
    front: Option<Box<Front>>,
    /// At least the highest place of all ids.
    highest: Place,
}

/// Hashed once more, with a random key: a caller may choose ids whose digests collide in a few bits. No answer depends on
/// the order of this map.
type Front = HashMap<Digest, Remembered>;

/// Up to here a new id is put in its place in the array: that moves a few kilobytes at most.
const ARRAY_ONLY: usize = 128;
/// The front is merged when it holds this part of the array. More would break the promise about memory.
const FRONT_DIVISOR: usize = 8;
/// A small array grows by this part of itself, at least by one record.
const GROWTH_DIVISOR: usize = 16;

/// Where an id stands, or belongs.
#[derive(Clone, Copy, Debug)]
enum Spot {
    /// It stands here in the array.
    Sorted(usize),
    /// It is unknown, and belongs here in the array.
    Between(usize),
    /// It stands in the front.
    Front,
    /// It is unknown, and belongs in the front.
    NewInFront,
}

/// What a window says of an id at a place, see [`Seen`].
#[derive(Debug)]
pub enum Looked<'set> {
    /// It counts.
    New(NewId<'set>),
    /// Ignored.
    Duplicate {
        /// Where it was first seen.
        first: Place,
    },
    /// Parked.
    Conflict {
        /// Where it was first seen.
        first: Place,
    },
}

/// An id that counts, and is not remembered yet.
#[derive(Debug)]
pub struct NewId<'set> {
    set: &'set mut SeenSet,
    spot: Spot,
    is_known: bool,
    id_digest: Digest,
    content_digest: Digest,
}

impl NewId<'_> {
    /// The set before it remembers the id.
    pub fn set(&self) -> &SeenSet {
        self.set
    }

    /// Whether the set knows the id, from the very place or from beyond: it is replayed.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Remembers the id as counted at `place`, see [`SeenSet::insert`].
    pub fn remember(self, place: Place) {
        self.set.put(self.spot, self.id_digest, Remembered::new(self.content_digest, place));
    }
}

impl SeenSet {
    /// The set of all these ids; of an id that comes more than once the lowest place stays.
    pub fn load(ids: impl IntoIterator<Item = (Digest, Digest, Place)>) -> Self {
        let mut sorted: Vec<Record> =
            ids.into_iter().map(|(id, content, place)| Record::new(id, Remembered::new(content, place))).collect();
        sorted.sort_unstable_by_key(|record| (record.id(), record.remembered.place()));
        sorted.dedup_by_key(|record| record.id());
        sorted.shrink_to_fit();
        let highest = sorted.iter().map(|record| record.remembered.place()).max().unwrap_or_default();
        Self { sorted, front: None, highest }
    }

    /// What the window says of the id at `place`. Only what lies below `place` exists.
    pub fn check(&self, id_digest: Digest, content_digest: Digest, place: Place) -> Seen {
        let Some(remembered) = self.remembered(self.spot(id_digest), id_digest) else { return Seen::New };
        remembered.seen(content_digest, place)
    }

    /// As [`Self::check`]; what is new can be remembered without being looked for again.
    pub fn look(&mut self, id_digest: Digest, content_digest: Digest, place: Place) -> Looked<'_> {
        let spot = self.spot(id_digest);
        let remembered = self.remembered(spot, id_digest);
        let is_known = remembered.is_some();
        match remembered.map_or(Seen::New, |remembered| remembered.seen(content_digest, place)) {
            Seen::New => Looked::New(NewId { set: self, spot, is_known, id_digest, content_digest }),
            Seen::Duplicate { first } => Looked::Duplicate { first },
            Seen::Conflict { first } => Looked::Conflict { first },
        }
    }

    /// Remembers an id that counted at `place`. Remembering the same again changes nothing; of two places the lower
    /// one stays, with its content.
    pub fn insert(&mut self, id_digest: Digest, content_digest: Digest, place: Place) {
        let spot = self.spot(id_digest);
        self.put(spot, id_digest, Remembered::new(content_digest, place));
    }

    fn put(&mut self, spot: Spot, id_digest: Digest, remembered: Remembered) {
        self.highest = self.highest.max(remembered.place());
        match spot {
            Spot::Sorted(index) => self.sorted[index].remembered.keep_lower(remembered),
            Spot::Between(index) => self.insert_sorted(index, id_digest, remembered),
            Spot::Front | Spot::NewInFront => self.insert_front(id_digest, remembered),
        }
    }

    fn spot(&self, id_digest: Digest) -> Spot {
        if self.front.as_ref().is_some_and(|front| front.contains_key(&id_digest)) {
            return Spot::Front;
        }
        match record::search(&self.sorted, id_digest) {
            Ok(index) => Spot::Sorted(index),
            Err(index) if self.sorted.len() < ARRAY_ONLY => Spot::Between(index),
            Err(_) => Spot::NewInFront,
        }
    }

    fn remembered(&self, spot: Spot, id_digest: Digest) -> Option<&Remembered> {
        match spot {
            Spot::Sorted(index) => Some(&self.sorted[index].remembered),
            Spot::Between(_) | Spot::NewInFront => None,
            Spot::Front => self.front.as_ref().and_then(|front| front.get(&id_digest)),
        }
    }

    fn insert_sorted(&mut self, index: usize, id_digest: Digest, remembered: Remembered) {
        if self.sorted.len() == self.sorted.capacity() {
            self.sorted.reserve_exact(1 + self.sorted.len() / GROWTH_DIVISOR);
        }
        self.sorted.insert(index, Record::new(id_digest, remembered));
    }

    fn insert_front(&mut self, id_digest: Digest, remembered: Remembered) {
        let front = self.front.get_or_insert_default();
        match front.entry(id_digest) {
            Entry::Occupied(mut known) => known.get_mut().keep_lower(remembered),
            Entry::Vacant(slot) => {
                slot.insert(remembered);
            }
        }
        if front.len() >= self.sorted.len() / FRONT_DIVISOR {
            self.merge_front();
        }
    }

    fn merge_front(&mut self) {
        let Some(front) = self.front.take() else { return };
        let mut newest: Vec<Record> = front.into_iter().map(|(id, remembered)| Record::new(id, remembered)).collect();
        newest.sort_unstable_by_key(Record::id);
        record::merge(&mut self.sorted, &newest);
    }

    /// How many ids are known.
    pub fn len(&self) -> usize {
        self.sorted.len() + self.front.as_ref().map_or(0, |front| front.len())
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids were first seen below `place`. Quick for a place above all ids, a scan otherwise.
    pub fn count_below(&self, place: Place) -> u64 {
        if place > self.highest {
            return self.len() as u64;
        }
        let newest = self.front.iter().flat_map(|front| front.values());
        let all = self.sorted.iter().map(|record| &record.remembered).chain(newest);
        all.filter(|remembered| remembered.place() < place).count() as u64
    }

    /// Bytes of memory held, heap included. During a merge its new ids are held twice, and the array too where the allocator
    /// cannot grow it in place.
    pub fn memory_bytes(&self) -> usize {
        let sorted = self.sorted.capacity() * size_of::<Record>();
        let front = self.front.as_ref().map_or(0, |front| size_of::<Front>() + front.allocation_size());
        size_of::<Self>() + sorted + front
    }
}

#[cfg(test)]
mod tests;
