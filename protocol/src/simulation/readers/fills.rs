//! Reads of the store that take their time: anything may happen between two requests.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use rand::{RngExt, rngs::StdRng};

use super::{
    Moment, Query, ReaderRules,
    asked::{Asked, Content, Ticket, Value, read},
};
use crate::{
    query::{FillOutcome, FillTicket},
    simulation::{
        Violation,
        log::pick,
        store::{
            SimulatedStore, StoreMode,
            answers::Replica,
            requests::{Answer, Asks, Reading, Request},
        },
    },
    store_reading::moment::MomentRules,
};

/// A fill in flight, with its readers.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) ticket: FillTicket<Asked>,
    /// The highest position that its readers demand.
    pub(super) minimum: u64,
    pub(super) is_believed: bool,
    /// Who answers: often the same again.
    replica: Replica,
    read: Read,
}

/// How far a fill has read.
enum Read {
    Under(Channel, Pin<Box<dyn Future<Output = Value>>>),
    All(Value),
}

impl fmt::Debug for Read {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Under(channel, _) => channel.fmt(formatter),
            Self::All(value) => value.fmt(formatter),
        }
    }
}

/// The request of a reader that waits, or its answer.
#[derive(Clone, Debug, Default)]
struct Channel(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Nothing,
    Request(Request),
    Answer(Answer),
}

impl Channel {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, store: &SimulatedStore, replica: Replica) {
        let mut slot = self.slot();
        if let Slot::Request(request) = &*slot {
            *slot = Slot::Answer(store.answer(request, replica));
        }
    }

    fn take_answer(&self) -> Poll<Answer> {
        let mut slot = self.slot();
        match std::mem::take(&mut *slot) {
            Slot::Answer(answer) => Poll::Ready(answer),
            waiting => {
                *slot = waiting;
                Poll::Pending
            }
        }
    }
}

impl Asks for Channel {
    async fn ask(&self, request: Request) -> Answer {
        *self.slot() = Slot::Request(request);
        std::future::poll_fn(|_| self.take_answer()).await
    }
}

/// The state of the world when a fill begins.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub(super) is_believed: bool,
    pub(super) nobody_knew: bool,
    pub(super) store: &'a SimulatedStore,
}

impl Fill {
    pub(super) fn new(ticket: FillTicket<Asked>, minimum: u64, beginning: Beginning<'_>, rules: ReaderRules) -> Self {
        let Beginning { is_believed, nobody_knew, store } = beginning;
        let channel = Channel::default();
        let reading = store.reading();
        let moment =
            MomentRules { one_applied: rules.one_applied, whole_batches: rules.whole_batches, ..reading.moment };
        let reading = Reading { moment, ..reading };
        let (key, stamp, horizon) = (ticket.key().clone(), ticket.stamp(), ticket.horizon());
        let begun = Ticket { key, stamp, horizon, nobody_knew };
        let asks = channel.clone();
        let future = async move { read(asks, reading, &begun, rules).await };
        Self { ticket, minimum, is_believed, replica: Replica::Any, read: Read::Under(channel, Box::pin(future)) }
    }

    /// Reads on; `None` while there is more to read.
    fn read_on(&mut self, replicas: &mut StdRng, moment: &Moment<'_>) -> Option<Value> {
        if moment.store.mode() == StoreMode::Stepwise && replicas.random_bool(0.3) {
            self.replica = *pick(replicas, &[Replica::Any, Replica::Kept, Replica::Repaired]);
        }
        let value = match &mut self.read {
            Read::All(value) => return Some(value.clone()),
            Read::Under(channel, future) => {
                channel.answer(moment.store, self.replica);
                future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            }
        };
        if let Poll::Ready(value) = value {
            self.read = Read::All(value);
        }
        None
    }
}

impl Query {
    pub(super) fn go_on_with_a_fill(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        if self.fills.is_empty() {
            return Ok(());
        }
        let index = rng.random_range(0..self.fills.len());
        // Often nothing happens between two requests.
        let value = loop {
            match self.fills[index].read_on(&mut self.replicas, moment) {
                Some(value) => break value,
                None if rng.random_bool(0.6) => {}
                None => return Ok(()),
            }
        };
        let Fill { ticket, minimum, is_believed, .. } = self.fills.swap_remove(index);
        let key = ticket.key().clone();
        if value.waits_for.is_some() {
            // Its readers begin anew, some of them soon.
            self.lane.abandon_fill(ticket);
            self.asked_last = Some(key);
            return Ok(());
        }
        let kept = (value.content != Content::Unknown).then(|| (value.clone(), 100));
        match self.lane.finish_fill(ticket, kept, moment.now_ms) {
            FillOutcome::Answer(stamp) if is_believed => self.answer(&key, &value, stamp, minimum, moment),
            FillOutcome::Answer(_) | FillOutcome::Again => Ok(()),
        }
    }
}
