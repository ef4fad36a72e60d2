//! The answers kept: account → last date it depends on → representation → value. Bounded in bytes, second chance.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;
use ledger::{AccountKey, BusinessDate};

use super::EntryKey;

/// Bytes that an entry costs besides its value: key, map nodes, its turn in the queue. Counted generously, so that the
/// budget is kept by the process and not only on paper.
pub(super) const ENTRY_OVERHEAD_BYTES: usize = 512;
/// Turns of dropped entries are swept out when they outnumber the living by this many.
const SWEEP_SLACK: usize = 1_024;

#[derive(Debug)]
struct Entry<R, V> {
    representation: R,
    value: V,
    bytes: usize,
    /// Tells this entry's turn from that of an earlier entry of the same key.
    turn: u64,
    visited: bool,
}

type Dates<R, V> = BTreeMap<BusinessDate, Vec<Entry<R, V>>>;

/// Entries, and the queue in which they wait for eviction: one that was read since its last turn gets another.
#[derive(Debug)]
pub(super) struct Cache<R, V> {
    accounts: HashMap<AccountKey, Dates<R, V>>,
    queue: VecDeque<(u64, EntryKey<R>)>,
    budget_bytes: usize,
    used_bytes: usize,
    entries: usize,
    next_turn: u64,
}

impl<R: Clone + Ord, V: Clone> Cache<R, V> {
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self { accounts: HashMap::new(), queue: VecDeque::new(), budget_bytes, used_bytes: 0, entries: 0, next_turn: 0 }
    }

    /// The value kept under the key.
    pub(super) fn get(&mut self, key: &EntryKey<R>) -> Option<&V> {
        let entry = self.accounts.get_mut(&key.account)?.get_mut(&key.until)?;
        let index = find(entry, &key.representation).ok()?;
        entry.get_mut(index).map(|entry| {
            entry.visited = true;
            &entry.value
        })
    }

    /// Everything kept, looked at by nobody who counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EntryKey<R>, &V)> {
        self.accounts.iter().flat_map(|(account, dates)| {
            let entries = dates.iter().flat_map(|(until, entries)| entries.iter().map(move |entry| (*until, entry)));
            entries.map(|(until, entry)| {
                let representation = entry.representation.clone();
                (EntryKey { account: account.clone(), until, representation }, &entry.value)
            })
        })
    }

    /// Keeps a value of `value_bytes`, in place of what was there, and evicts others until the budget holds. One that
    /// alone exceeds the budget is not kept.
    pub(super) fn insert(&mut self, key: EntryKey<R>, value: V, value_bytes: usize) {
        let bytes = value_bytes.saturating_add(ENTRY_OVERHEAD_BYTES);
        if bytes > self.budget_bytes {
            return;
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        let entry = Entry { representation: key.representation.clone(), value, bytes, turn, visited: false };
        let dates = self.accounts.entry_ref(&key.account).or_default().entry(key.until).or_default();
        match find(dates, &key.representation) {
            Ok(index) => self.used_bytes -= std::mem::replace(&mut dates[index], entry).bytes,
            Err(index) => {
                dates.insert(index, entry);
                self.entries += 1;
            }
        }
        self.used_bytes += bytes;
        self.queue.push_back((turn, key));
        self.evict();
        self.sweep();
    }

    /// Drops the account's entries that depend on `date` or a later one; says how many.
    pub(super) fn drop_from(&mut self, account: &AccountKey, date: BusinessDate) -> usize {
        let Some(dates) = self.accounts.get_mut(account) else { return 0 };
        let dropped = dates.split_off(&date);
        if dates.is_empty() {
            self.accounts.remove(account);
        }
        let count = dropped.values().map(Vec::len).sum();
        self.entries -= count;
        self.used_bytes -= dropped.values().flatten().map(|entry| entry.bytes).sum::<usize>();
        self.sweep();
        count
    }

    /// Drops everything; says how many.
    pub(super) fn clear(&mut self) -> usize {
        self.accounts.clear();
        self.queue.clear();
        self.used_bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// How many entries are kept.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Bytes counted against the budget.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    fn evict(&mut self) {
        while self.used_bytes > self.budget_bytes {
            let Some((turn, key)) = self.queue.pop_front() else { return };
            match self.take_turn(turn, &key) {
                Turn::Again => self.queue.push_back((turn, key)),
                Turn::Evicted(bytes) => {
                    self.used_bytes -= bytes;
                    self.entries -= 1;
                }
                Turn::Gone => {}
            }
        }
    }

    fn take_turn(&mut self, turn: u64, key: &EntryKey<R>) -> Turn {
        let Some(dates) = self.accounts.get_mut(&key.account) else { return Turn::Gone };
        let Some(entries) = dates.get_mut(&key.until) else { return Turn::Gone };
        let Ok(index) = find(entries, &key.representation) else { return Turn::Gone };
        if entries[index].turn != turn {
            return Turn::Gone;
        }
        if std::mem::take(&mut entries[index].visited) {
            return Turn::Again;
        }
        let bytes = entries.remove(index).bytes;
        if entries.is_empty() {
            dates.remove(&key.until);
        }
        if dates.is_empty() {
            self.accounts.remove(&key.account);
        }
        Turn::Evicted(bytes)
    }

    /// Entries that notices dropped leave their turns behind; without this the queue would grow with every refill.
    fn sweep(&mut self) {
        if self.queue.len() <= 2 * self.entries + SWEEP_SLACK {
            return;
        }
        let accounts = &self.accounts;
        let lives = |(turn, key): &(u64, EntryKey<R>)| {
            let entries = accounts.get(&key.account).and_then(|dates| dates.get(&key.until));
            let index = entries.and_then(|entries| find(entries, &key.representation).ok());
            index.zip(entries).is_some_and(|(index, entries)| entries[index].turn == *turn)
        };
        self.queue.retain(lives);
    }
}

/// What became of an entry whose turn it was.
enum Turn {
    Again,
    Evicted(usize),
    Gone,
}

/// Where the representation stands, or would stand, among entries ordered by it.
fn find<R: Ord, V>(entries: &[Entry<R, V>], representation: &R) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.representation.cmp(representation))
}
