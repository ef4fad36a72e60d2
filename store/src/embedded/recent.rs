//! Owners' rows as they were last written, so that the commit which replaces one need not search the database for it.
//!
//! Exact by taking turns: who is about to replace a row takes it out under its lane's lock, and puts back what it wrote once that
//! is written. Whatever goes wrong between, a failed write or a panic, leaves nothing here, and the next commit asks the
//! database. It belongs to one incarnation, and an owner's rows to one lane.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fjall::{UserKey, UserValue};

use super::config::RECENT_OWNERS_BYTES;

type Rows = HashMap<UserKey, UserValue>;

/// See the head of this module. Two halves: what is taken out of either comes back into the young one, and when that is full, what
/// is left of the old one is forgotten.
#[derive(Default)]
pub(super) struct RecentOwners(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    young: Rows,
    young_bytes: usize,
    old: Rows,
}

impl RecentOwners {
    /// Takes out what was last written under a key, if that is known, with the key as it is kept.
    pub fn take(&self, key: &[u8]) -> Option<(UserKey, UserValue)> {
        let mut halves = self.halves();
        let Some((key, value)) = halves.young.remove_entry(key) else { return halves.old.remove_entry(key) };
        halves.young_bytes -= bytes(&key, &value);
        Some((key, value))
    }

    /// Puts in what is now stored.
    pub fn put(&self, rows: Vec<(UserKey, UserValue)>) {
        let mut halves = self.halves();
        for (key, value) in rows {
            halves.put(key, value);
        }
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(|poisoned| {
            // A panic may have left it half-changed: it begins anew.
            let mut halves = PoisonError::into_inner(poisoned);
            *halves = Halves::default();
            halves
        })
    }
}

impl Halves {
    fn put(&mut self, key: UserKey, value: UserValue) {
        self.young_bytes += bytes(&key, &value);
        // Nobody else has put it in meanwhile: an owner's lane is locked.
        self.young.insert(key, value);
        if self.young_bytes > RECENT_OWNERS_BYTES / 2 {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

fn bytes(key: &UserKey, value: &UserValue) -> usize {
    ENTRY_BYTES + key.len() + value.len()
}

/// What the map and the allocator take for an entry besides its bytes.
const ENTRY_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, length: usize) -> (UserKey, UserValue) {
        (UserKey::from(number.to_be_bytes()), UserValue::from(vec![7; length]))
    }

    fn held_bytes(recent: &RecentOwners) -> usize {
        let halves = recent.halves();
        halves.young.iter().chain(&halves.old).map(|(key, value)| bytes(key, value)).sum()
    }

    #[test]
    fn what_was_put_in_is_taken_out_once() {
        let recent = RecentOwners::default();
        let (key, value) = row(1, 10);
        recent.put(vec![(key.clone(), value.clone())]);
        assert_eq!(recent.take(&key), Some((key.clone(), value)));
        assert_eq!(recent.take(&key), None);
        assert_eq!(recent.halves().young_bytes, 0);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_in_use() {
        const ROW_BYTES: usize = 1_000;
        let recent = RecentOwners::default();
        let (used, value) = row(0, ROW_BYTES);
        recent.put(vec![(used.clone(), value)]);
        for number in 1..3 * RECENT_OWNERS_BYTES / ROW_BYTES {
            recent.put(vec![row(number, ROW_BYTES)]);
            recent.put(vec![recent.take(&used).unwrap()]);
            assert!(number % 1_000 != 0 || held_bytes(&recent) <= RECENT_OWNERS_BYTES + 2 * ROW_BYTES);
        }
        assert!(held_bytes(&recent) >= RECENT_OWNERS_BYTES / 2);
        assert_eq!(recent.take(&row(1, 0).0), None, "what was not in use is forgotten");
    }
}
