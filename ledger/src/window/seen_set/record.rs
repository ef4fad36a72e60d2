//! Packed records, and arrays of them sorted by id digest.

use crate::{Digest, Place, Seen};

/// What is kept of an id. Bytes only, so that records need no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    content: Digest,
    sequence: [u8; 8],
    line: [u8; 4],
}

impl Remembered {
    pub fn new(content: Digest, place: Place) -> Self {
        Self { content, sequence: place.sequence.to_ne_bytes(), line: place.line.to_ne_bytes() }
    }

    pub fn place(&self) -> Place {
        Place::new(u64::from_ne_bytes(self.sequence), u32::from_ne_bytes(self.line))
    }

    /// What this says of the id at `place` with that content.
    pub fn seen(&self, content: Digest, place: Place) -> Seen {
        let first = self.place();
        if first >= place {
            Seen::New
        } else if self.content == content {
            Seen::Duplicate { first }
        } else {
            Seen::Conflict { first }
        }
    }

    /// Of two memories of one id the one with the lower place stays.
    pub fn keep_lower(&mut self, other: Self) {
        if other.place() < self.place() {
            *self = other;
        }
    }
}

/// An id and what is kept of it: 44 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    id: Digest,
    pub remembered: Remembered,
}

impl Record {
    pub fn new(id: Digest, remembered: Remembered) -> Self {
        Self { id, remembered }
    }

    /// The id digest as a number of the same order.
    pub fn id(&self) -> u128 {
        number(self.id)
    }
}

fn number(digest: Digest) -> u128 {
    u128::from_be_bytes(digest.0)
}

/// After the first guess each step leaves about the root of the error before it: from √n / 2 to a handful. Each costs a fetch from
/// memory, so that a small array gets fewer.
const GUESSES: usize = 4;
const FEW_GUESSES: usize = 2;
/// Up to here few guesses end near the id.
const SMALL: usize = 4_096;

/// Where the id stands in `sorted`, or where it belongs.
///
/// Digests are spread evenly, so an id stands near its share of the array. From there the steps double until they pass it: ids that
/// were chosen to be elsewhere cost twice a search of the whole array by halves.
pub(super) fn search(sorted: &[Record], id: Digest) -> Result<usize, usize> {
    let id = number(id);
    if sorted.is_empty() {
        return Err(0);
    }
    let guess = guess(sorted, id);
    let (low, high) = if sorted[guess].id() <= id { above(sorted, id, guess) } else { below(sorted, id, guess) };
    let found = sorted[low..high].binary_search_by_key(&id, Record::id);
    found.map(|index| low + index).map_err(|index| low + index)
}

/// A part of the array that holds the id or its place, which are not below `low`.
fn above(sorted: &[Record], id: u128, mut low: usize) -> (usize, usize) {
    let mut step = 1;
    while sorted.get(low + step).is_some_and(|record| record.id() <= id) {
        low += step;
        step *= 2;
    }
    (low, (low + step).min(sorted.len()))
}

/// A part of the array that holds the id or its place, which are below `high`.
fn below(sorted: &[Record], id: u128, mut high: usize) -> (usize, usize) {
    let mut step = 1;
    while step <= high && sorted[high - step].id() > id {
        high -= step;
        step *= 2;
    }
    (high.saturating_sub(step), high)
}

/// An index near the id, of an array that is not empty: its share of the array, corrected by what is found there.
fn guess(sorted: &[Record], id: u128) -> usize {
    let mut guess = share(id, sorted.len());
    let guesses = if sorted.len() < SMALL { FEW_GUESSES } else { GUESSES };
    for _ in 1..guesses {
        let found = sorted[guess].id();
        guess = if id >= found {
            (guess + share(id - found, sorted.len())).min(sorted.len() - 1)
        } else {
            guess.saturating_sub(share(found - id, sorted.len()))
        };
    }
    guess
}

/// How many of `len` evenly spread ids lie in a distance; below `len`.
fn share(distance: u128, len: usize) -> usize {
    usize::try_from(((distance >> 64) * len as u128) >> 64).unwrap_or_default()
}

/// Merges sorted `newest`, which shares no id with it, into `sorted`; in place, from the back, so that memory grows by the new
/// records only.
pub(super) fn merge(sorted: &mut Vec<Record>, newest: &[Record]) {
    let mut old_left = sorted.len();
    let mut new_left = newest.len();
    sorted.reserve_exact(new_left);
    sorted.extend_from_slice(newest);
    while new_left > 0 {
        let takes_old = old_left > 0 && sorted[old_left - 1].id() > newest[new_left - 1].id();
        let target = old_left + new_left - 1;
        if takes_old {
            old_left -= 1;
            sorted[target] = sorted[old_left];
        } else {
            new_left -= 1;
            sorted[target] = newest[new_left];
        }
    }
}
