//! The far end: a query instance with its cache, told by notices that come late or never, and readers who ask it.

use std::collections::{BTreeMap, VecDeque};

use ledger::{AccountKey, BusinessDate, Grain, RowKey, Totals};
use rand::{RngExt, rngs::StdRng};

use super::{Violation, log::pick, store::SimulatedStore, truth::Truth};
use crate::{
    commit::Progress,
    notice::Notice,
    query::{EntryKey, FillOutcome, FillTicket, LaneSettings, ProgressTicket, QueryLane, Reading, Stamp},
};

/// An account's day rows up to some date, as read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    applied: Option<u64>,
    rows: BTreeMap<RowKey, Totals>,
}

/// A read of the store that takes its time.
#[derive(Debug)]
struct Fill {
    ticket: FillTicket<()>,
    read: Option<Value>,
}

/// A progress read, and what it found, once it did.
type ProgressRead = (ProgressTicket, Option<Option<Progress>>);

/// One query instance's view of one lane.
#[derive(Debug)]
pub(crate) struct Query {
    partition: u16,
    lane: QueryLane<(), Value>,
    /// What each publisher sent, in its order.
    inboxes: BTreeMap<usize, VecDeque<Notice>>,
    progress_read: Option<ProgressRead>,
    fills: Vec<Fill>,
    /// A reader that passes its last position on.
    last_position: u64,
}

impl Query {
    pub(crate) fn new(partition: u16) -> Self {
        // Few answers fit.
        let lane = QueryLane::new(LaneSettings { generation: 1, epoch: 1, partition, cache_bytes: 2_000 });
        let progress_read = Some((lane.begin_progress_read(), None));
        Self { partition, lane, inboxes: BTreeMap::new(), progress_read, fills: Vec::new(), last_position: 0 }
    }

    /// A worker publishes.
    pub(crate) fn send(&mut self, publisher: usize, notice: Notice) {
        self.inboxes.entry(publisher).or_default().push_back(notice);
    }

    /// The embedded store was reopened at an older state; what was said before has arrived before.
    pub(crate) fn store_lost(&mut self, now_ms: u64) {
        for notice in std::mem::take(&mut self.inboxes).into_values().flatten() {
            self.lane.on_notice(&notice, now_ms);
        }
        self.lane.on_store_lost();
        self.last_position = 0;
        self.progress_read = Some((self.lane.begin_progress_read(), None));
    }

    /// Something happens at the far end. An answer, if there is one, is checked against the fold.
    pub(crate) fn happen(
        &mut self,
        rng: &mut StdRng,
        now_ms: u64,
        store: &SimulatedStore,
        truth: &Truth,
    ) -> Result<(), Violation> {
        match rng.random_range(0..100) {
            0..45 => self.deliver(rng, now_ms),
            45..48 => self.lose_notices(rng),
            48..58 => self.read_progress(store),
            58..80 => return self.read(rng, now_ms, truth),
            _ => return self.go_on_with_a_fill(rng, now_ms, store, truth),
        }
        Ok(())
    }

    fn deliver(&mut self, rng: &mut StdRng, now_ms: u64) {
        self.inboxes.retain(|_, inbox| !inbox.is_empty());
        let publishers: Vec<usize> = self.inboxes.keys().copied().collect();
        if publishers.is_empty() {
            return;
        }
        let inbox = self.inboxes.get_mut(pick(rng, &publishers));
        if let Some(notice) = inbox.and_then(VecDeque::pop_front)
            && self.lane.on_notice(&notice, now_ms).may_have_gone_back
            && self.progress_read.is_none()
        {
            self.progress_read = Some((self.lane.begin_progress_read(), None));
        }
    }

    /// Some vanish; often nobody says so.
    fn lose_notices(&mut self, rng: &mut StdRng) {
        for inbox in self.inboxes.values_mut() {
            inbox.drain(..rng.random_range(0..=inbox.len()));
        }
        if rng.random_bool(0.3) {
            self.lane.on_notices_lost();
        }
    }

    fn read_progress(&mut self, store: &SimulatedStore) {
        match self.progress_read.take() {
            None => self.progress_read = Some((self.lane.begin_progress_read(), None)),
            Some((ticket, None)) => {
                self.progress_read = Some((ticket, Some(store.partition_state(self.partition).progress)));
            }
            Some((ticket, Some(progress))) => {
                self.lane.finish_progress_read(ticket, progress.as_ref());
            }
        }
    }

    fn read(&mut self, rng: &mut StdRng, now_ms: u64, truth: &Truth) -> Result<(), Violation> {
        let Some((account, date)) = truth.some_window(rng) else { return Ok(()) };
        let key = EntryKey { account, until: date, representation: () };
        let minimum = if rng.random_bool(0.5) { self.last_position } else { 0 };
        match self.lane.read(&key, minimum, now_ms) {
            Reading::Cached(value, stamp) => self.answer(&key, &value, stamp, truth),
            Reading::Fill(ticket) => {
                self.fills.push(Fill { ticket, read: None });
                Ok(())
            }
            Reading::Join(_) | Reading::Wait => Ok(()),
            Reading::Stopped => Err(Violation(format!("{:?} is said to be stopped", key.account))),
        }
    }

    fn go_on_with_a_fill(
        &mut self,
        rng: &mut StdRng,
        now_ms: u64,
        store: &SimulatedStore,
        truth: &Truth,
    ) -> Result<(), Violation> {
        if self.fills.is_empty() {
            return Ok(());
        }
        let index = rng.random_range(0..self.fills.len());
        let key = self.fills[index].ticket.key().clone();
        let Some(value) = self.fills[index].read.take() else {
            self.fills[index].read = Some(value_of(store, &key));
            return Ok(());
        };
        let Fill { ticket, .. } = self.fills.swap_remove(index);
        match self.lane.finish_fill(ticket, Some((value.clone(), 100)), now_ms) {
            FillOutcome::Answer(stamp) => self.answer(&key, &value, stamp, truth),
            FillOutcome::Again => Ok(()),
        }
    }

    /// An answer holds everything up to its position.
    fn answer(&mut self, key: &EntryKey<()>, value: &Value, stamp: Stamp, truth: &Truth) -> Result<(), Violation> {
        self.last_position = self.last_position.max(stamp.position);
        let upto = value.applied.unwrap_or(0).max(stamp.position);
        let mut expected = truth.account_rows(&key.account, upto);
        expected.retain(|row, _| row.grain == Grain::Day && row.start <= key.until);
        if value.rows == expected {
            return Ok(());
        }
        let what = format!("{:?} up to {} at {stamp:?}", key.account, key.until);
        Err(Violation(format!("a reader is told of {what}: {value:?}, the fold says {expected:?}")))
    }
}

fn value_of(store: &SimulatedStore, key: &EntryKey<()>) -> Value {
    let (applied, rows) = store.account_view(&key.account, &[(Grain::Day, BusinessDate::MIN, key.until)]);
    Value { applied, rows: rows.into_iter().map(|(key, balance)| (key, balance.totals)).collect() }
}

impl Truth {
    /// A window that some entry names.
    fn some_window(&self, rng: &mut StdRng) -> Option<(AccountKey, BusinessDate)> {
        let touched: Vec<&(AccountKey, BusinessDate)> = self.touched.values().flatten().collect();
        if touched.is_empty() { None } else { Some((*pick(rng, &touched)).clone()) }
    }
}
