//! Fills in flight: who reads what from the store, since when, and whether a notice has touched it since.

use hashbrown::HashMap;
use ledger::{AccountKey, BusinessDate};

use super::{EntryKey, freshness::Stamp};

/// Names a fill in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FillId(u64);

/// How much of what a fill finds in the store may be answered.
///
/// A store that commits step by step may have forgotten some of what lies above the position that a worker replays, and kept
/// the rest. Rows above it are the fold of no prefix of the log then, although each by itself is the fold of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    pub(super) position: u64,
    /// The position is that of a replay, and commits may be there in part.
    pub(super) is_replayed: bool,
}

impl Horizon {
    /// Facts above this sequence are ignored, where the account's rows were read at the static `applied` given: above it
    /// a journal may hold what the rows do not yet count.
    pub fn upto(self, applied: Option<u64>) -> u64 {
        applied.unwrap_or(0).max(self.position)
    }

    /// The position that has to be applied before an account may be answered whose rows have this static `applied`; `None` if
    /// it may be answered at once.
    pub fn waits_for(self, applied: Option<u64>) -> Option<u64> {
        applied.filter(|applied| self.is_replayed && *applied > self.position)
    }
}

/// A fill in flight, held by whoever reads the store; given back to `finish_fill` or `abandon_fill`.
#[derive(Debug)]
pub struct FillTicket<R> {
    pub(super) id: FillId,
    pub(super) key: EntryKey<R>,
    pub(super) stamp: Stamp,
    pub(super) lineage: u64,
    pub(super) is_replayed: bool,
}

impl<R> FillTicket<R> {
    /// Its name, under which other readers join.
    pub fn id(&self) -> FillId {
        self.id
    }

    /// What is being read.
    pub fn key(&self) -> &EntryKey<R> {
        &self.key
    }

    /// Position, time and completeness as they stood when the fill began.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// How much of what is found may be answered.
    pub fn horizon(&self) -> Horizon {
        Horizon { position: self.stamp.position, is_replayed: self.is_replayed }
    }
}

/// The state of a partition when a fill begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) stamp: Stamp,
    pub(super) lineage: u64,
    /// The position is that of a replay, and commits may be there in part.
    pub(super) is_replayed: bool,
    /// Notices arrive.
    pub(super) cacheable: bool,
}

/// What is remembered of a fill until it ends.
#[derive(Debug)]
struct InFlight<R> {
    id: FillId,
    until: BusinessDate,
    representation: R,
    position: u64,
    lineage: u64,
    /// Begun while notices were heard, and nothing has touched the key since.
    cacheable: bool,
    touched: bool,
}

/// All fills in flight of a lane. The driver bounds their number: it holds a ticket for each.
#[derive(Debug)]
pub(super) struct Fills<R> {
    by_account: HashMap<AccountKey, Vec<InFlight<R>>>,
    next_id: u64,
}

impl<R> Default for Fills<R> {
    fn default() -> Self {
        Self { by_account: HashMap::new(), next_id: 0 }
    }
}

impl<R: Clone + Eq> Fills<R> {
    /// Begins a fill.
    pub(super) fn begin(&mut self, key: &EntryKey<R>, beginning: Beginning) -> FillTicket<R> {
        let Beginning { stamp, lineage, is_replayed, cacheable } = beginning;
        let id = FillId(self.next_id);
        self.next_id += 1;
        let in_flight = InFlight {
            id,
            until: key.until,
            representation: key.representation.clone(),
            position: stamp.position,
            lineage,
            cacheable,
            touched: false,
        };
        self.by_account.entry_ref(&key.account).or_default().push(in_flight);
        FillTicket { id, key: key.clone(), stamp, lineage, is_replayed }
    }

    /// A fill of this key that a reader who demands `minimum` may share: begun at or above it, untouched since, and of
    /// the present lineage. `any` drops these conditions.
    pub(super) fn joinable(&self, key: &EntryKey<R>, minimum: u64, lineage: u64, any: bool) -> Option<FillId> {
        let same_key = |fill: &&InFlight<R>| fill.until == key.until && fill.representation == key.representation;
        let will_do =
            |fill: &&InFlight<R>| any || (fill.position >= minimum && !fill.touched && fill.lineage == lineage);
        let fills = self.by_account.get(&key.account)?;
        fills.iter().rev().filter(same_key).find(will_do).map(|fill| fill.id)
    }

    /// Marks the account's fills that depend on `date` or a later one.
    pub(super) fn touch(&mut self, account: &AccountKey, date: BusinessDate) {
        let fills = self.by_account.get_mut(account).into_iter().flatten();
        fills.filter(|fill| fill.until >= date).for_each(|fill| fill.touched = true);
    }

    /// Marks every fill.
    pub(super) fn touch_all(&mut self) {
        self.by_account.values_mut().flatten().for_each(|fill| fill.touched = true);
    }

    /// Forgets the fill; says whether its result may be cached, with `touched` not counting if so asked.
    pub(super) fn end(&mut self, ticket: &FillTicket<R>, ignore_touched: bool) -> bool {
        let Some(fills) = self.by_account.get_mut(&ticket.key.account) else { return false };
        let Some(index) = fills.iter().position(|fill| fill.id == ticket.id) else { return false };
        let fill = fills.swap_remove(index);
        if fills.is_empty() {
            self.by_account.remove(&ticket.key.account);
        }
        fill.cacheable && (ignore_touched || !fill.touched)
    }

    /// How many are in flight.
    pub(super) fn len(&self) -> usize {
        self.by_account.values().map(Vec::len).sum()
    }
}
