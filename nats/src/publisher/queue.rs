//! What waits in one lane, and whether the lane takes more.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use retry::{BreakerSettings, BreakerState, CircuitBreaker};
use tokio::sync::{Notify, oneshot};

use super::{Batch, PublishError, PublishErrorKind, Published, PublisherConfig, Receipt, shares::Shares};

/// The breaker opens at once: a message that is not acknowledged in time speaks for all. While it is open the lane asks the
/// log again and again by itself.
const BREAKER: BreakerSettings = BreakerSettings { failures_to_open: 1, open_ms: 250, max_open_ms: 2_000 };

/// Who waits for the outcome of a batch.
pub(super) type Outcome = oneshot::Sender<Result<Published, PublishError>>;

/// A batch that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) outcome: Outcome,
}

/// Why a batch was not taken.
pub(super) enum Refusal {
    /// No room now; the batch back.
    NoRoom(Box<Batch>),
    /// The lane takes nothing now, or never this.
    Error(PublishError),
}

/// The bounds of messages and of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) message_entries: usize,
    pub(super) message_bytes: usize,
    pub(super) queue_entries: usize,
    pub(super) queue_bytes: usize,
}

impl Bounds {
    /// As configured; a queue holds at least one whole message, and a message is at most what the server takes.
    pub(super) fn new(config: &PublisherConfig, server_message_bytes: usize) -> Self {
        let message_bytes = config.max_message_bytes.min(server_message_bytes);
        Self {
            message_entries: config.max_message_entries,
            message_bytes,
            queue_entries: config.queue_entries.max(config.max_message_entries),
            queue_bytes: config.queue_bytes.max(message_bytes),
        }
    }
}

/// Shared between the callers and the lane's task. The lock is held for a few moves only.
#[derive(Debug)]
pub(super) struct LaneQueue {
    bounds: Bounds,
    state: Mutex<State>,
    filled: Notify,
    room: Notify,
    start: Instant,
}

#[derive(Debug)]
struct State {
    /// Each with its place in the order in which tenants are served when not all leave together.
    waiting: VecDeque<(u64, Pending)>,
    shares: Shares,
    entries: usize,
    bytes: usize,
    /// The task sleeps although it could send: the batch that makes it so many bytes wakes it. One wake a message, not one a
    /// batch.
    wakes_at_bytes: Option<usize>,
    closed: bool,
    breaker: CircuitBreaker,
}

impl LaneQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            shares: Shares::default(),
            entries: 0,
            bytes: 0,
            wakes_at_bytes: None,
            closed: false,
            breaker: CircuitBreaker::new(BREAKER),
        };
        Self { bounds, state: Mutex::new(state), filled: Notify::new(), room: Notify::new(), start: Instant::now() }
    }

    /// Takes a batch or says why not.
    pub(super) fn push(&self, batch: Batch) -> Result<Receipt, Refusal> {
        self.check_shape(&batch).map_err(Refusal::Error)?;
        let mut state = self.lock();
        if state.closed || state.breaker.state() != BreakerState::Closed {
            return Err(Refusal::Error(self.refusal(&state)));
        }
        let (entries, bytes) = (state.entries + entries_of(&batch), state.bytes + batch.lines.len());
        if entries > self.bounds.queue_entries || bytes > self.bounds.queue_bytes {
            return Err(Refusal::NoRoom(Box::new(batch)));
        }
        let left = (self.bounds.queue_entries - entries, self.bounds.queue_bytes - bytes);
        let Some(place) = state.shares.take(&batch, left) else { return Err(Refusal::NoRoom(Box::new(batch))) };
        (state.entries, state.bytes) = (entries, bytes);
        let (outcome, receipt) = oneshot::channel();
        state.waiting.push_back((place, Pending { batch, outcome }));
        let wake = state.wakes_at_bytes.take_if(|wakes_at| bytes >= *wakes_at).is_some();
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(Receipt { outcome: receipt })
    }

    /// Waits until there may be room.
    pub(super) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Takes what makes up the next message, whole batches only; empty when nothing waits.
    pub(super) fn take(&self) -> Vec<Pending> {
        let mut state = self.lock();
        let fits = state.entries <= self.bounds.message_entries && state.bytes <= self.bounds.message_bytes;
        let taken = if fits { state.take_all() } else { state.take_up_to(&self.bounds) };
        state.wakes_at_bytes = None;
        drop(state);
        if !taken.is_empty() {
            self.room.notify_waiters();
        }
        taken
    }

    /// Waits until so many bytes can be taken. Cancel safe.
    pub(super) async fn filled(&self, bytes: usize) {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.lock();
                if state.bytes >= bytes {
                    return;
                }
                state.wakes_at_bytes = Some(bytes);
            }
            filled.await;
        }
    }

    /// Whether the breaker is closed.
    pub(super) fn takes(&self) -> bool {
        self.lock().breaker.state() == BreakerState::Closed
    }

    /// The log acknowledged something. Returns whether that is news.
    pub(super) fn recovered(&self) -> bool {
        let mut state = self.lock();
        let news = state.breaker.state() != BreakerState::Closed;
        state.breaker.on_success();
        news
    }

    /// The log does not acknowledge: opens the breaker and returns what waits, to be answered. The flag says whether that is
    /// news.
    pub(super) fn trouble(&self) -> (bool, Vec<Pending>) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        let news = state.breaker.state() == BreakerState::Closed;
        state.breaker.on_failure(now_ms);
        let unsent = state.take_all();
        drop(state);
        self.room.notify_waiters();
        (news, unsent)
    }

    /// Whether the log may be asked now if it is there again; how long to wait otherwise, in milliseconds.
    pub(super) fn may_probe(&self) -> Result<(), u64> {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        if state.breaker.allows(now_ms) { Ok(()) } else { Err(state.breaker.retry_after_ms(now_ms).max(1)) }
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
    }

    /// Takes nothing more and returns what waits, to be answered.
    pub(super) fn empty(&self) -> Vec<Pending> {
        self.close();
        self.lock().take_all()
    }

    /// How many batches wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many bytes wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// When another attempt may succeed, in seconds.
    pub(super) fn retry_after_s(&self) -> u64 {
        self.lock().breaker.retry_after_ms(self.now_ms()).div_ceil(1_000).max(1)
    }

    fn check_shape(&self, batch: &Batch) -> Result<(), PublishError> {
        let bounds = &self.bounds;
        let too_long = entries_of(batch) > bounds.message_entries || batch.lines.len() > bounds.message_bytes;
        let message = if too_long {
            format!("a batch has at most {} entries and {} bytes", bounds.message_entries, bounds.message_bytes)
        } else if batch.entries == 0 || batch.lines.last() != Some(&b'\n') {
            "a batch has at least one entry, and each line ends with a line feed".to_owned()
        } else {
            return Ok(());
        };
        Err(PublishError { kind: PublishErrorKind::Refused, message, retry_after_s: 1 })
    }

    fn refusal(&self, state: &State) -> PublishError {
        let message =
            if state.closed { "the publisher is closing" } else { "the log does not acknowledge at the moment" };
        let retry_after_s = state.breaker.retry_after_ms(self.now_ms()).div_ceil(1_000).max(1);
        PublishError { kind: PublishErrorKind::NotSent, message: message.to_owned(), retry_after_s }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl State {
    fn take_all(&mut self) -> Vec<Pending> {
        (self.entries, self.bytes) = (0, 0);
        self.shares.clear();
        self.waiting.drain(..).map(|(_, pending)| pending).collect()
    }

    /// As much as fits, by turns of the tenants; each tenant's in order.
    fn take_up_to(&mut self, bounds: &Bounds) -> Vec<Pending> {
        // Nearly in order: those who were there at the last look are, and so are those of each tenant.
        self.waiting.make_contiguous().sort_by_key(|(place, _)| *place);
        let (mut entries, mut bytes) = (0, 0);
        let fitting = self.waiting.iter().take_while(|(_, pending)| {
            entries += entries_of(&pending.batch);
            bytes += pending.batch.lines.len();
            entries <= bounds.message_entries && bytes <= bounds.message_bytes
        });
        let count = fitting.count();
        let mut taken = Vec::with_capacity(count);
        for (place, pending) in self.waiting.drain(..count) {
            self.shares.give_back(&pending.batch, place);
            taken.push(pending);
        }
        self.entries -= taken.iter().map(|pending| entries_of(&pending.batch)).sum::<usize>();
        self.bytes -= taken.iter().map(|pending| pending.batch.lines.len()).sum::<usize>();
        taken
    }
}

pub(super) fn entries_of(batch: &Batch) -> usize {
    usize::try_from(batch.entries).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ledger::Tenant;

    use super::*;
    use crate::MessageId;

    const BOUNDS: Bounds = Bounds { message_entries: 4, message_bytes: 100, queue_entries: 6, queue_bytes: 200 };

    fn batch(entries: u32) -> Batch {
        batch_of("acme", entries)
    }

    fn batch_of(tenant: &str, entries: u32) -> Batch {
        let tenant = Tenant::parse(tenant).unwrap();
        let lines = Bytes::from("x\n".repeat(entries as usize));
        Batch { tenant, lines, entries, message_id: MessageId::Packed(ledger::Digest::of(b"id")) }
    }

    fn taken(queue: &LaneQueue) -> Vec<u32> {
        queue.take().iter().map(|pending| pending.batch.entries).collect()
    }

    #[test]
    fn batches_stay_whole_and_in_order() {
        let queue = LaneQueue::new(Bounds { queue_entries: 12, ..BOUNDS });
        for entries in [2, 1, 3] {
            assert!(queue.push(batch(entries)).is_ok());
        }
        assert_eq!(taken(&queue), [2, 1]);
        assert_eq!(taken(&queue), [3]);
        assert!(taken(&queue).is_empty());
        assert!(queue.waiting() == 0);
    }

    #[test]
    fn a_full_queue_gives_the_batch_back_and_takes_it_later() {
        let queue = LaneQueue::new(BOUNDS);
        let _first = queue.push(batch(4)).ok();
        let Err(Refusal::NoRoom(back)) = queue.push(batch(3)) else { panic!("it was taken") };
        assert_eq!(back.entries, 3);
        assert_eq!(taken(&queue), [4]);
        assert!(queue.push(*back).is_ok());
    }

    #[test]
    fn a_tenant_that_floods_leaves_room_and_does_not_go_first() {
        let bounds = Bounds { queue_entries: 40, queue_bytes: 1_000, ..BOUNDS };
        let queue = LaneQueue::new(bounds);
        let flood = std::iter::from_fn(|| queue.push(batch_of("flood", 1)).ok()).count();
        assert_eq!(flood, 30);
        for _ in 0..2 {
            assert!(queue.push(batch_of("other", 1)).is_ok() && queue.push(batch_of("third", 1)).is_ok());
        }
        let served = |queue: &LaneQueue| -> Vec<String> {
            queue.take().iter().map(|pending| pending.batch.tenant.to_string()).collect()
        };
        assert_eq!(served(&queue), ["flood", "other", "third", "flood"]);
        assert_eq!(served(&queue), ["other", "third", "flood", "flood"]);
        assert!(queue.push(batch_of("other", 1)).is_ok());
        assert_eq!(served(&queue), ["other", "flood", "flood", "flood"], "a newcomer does not wait for the flood");
        let rest = std::iter::from_fn(|| Some(taken(&queue)).filter(|taken| !taken.is_empty())).flatten().count();
        assert_eq!((rest, queue.waiting()), (23, 0));
        assert!(queue.push(batch_of("flood", 4)).is_ok(), "everything was given back");
    }

    #[test]
    fn trouble_empties_the_queue_and_refuses_until_recovery() {
        let queue = LaneQueue::new(BOUNDS);
        let _receipt = queue.push(batch(1)).ok();
        let (news, unsent) = queue.trouble();
        assert!(news && unsent.len() == 1 && !queue.takes());
        let Err(Refusal::Error(error)) = queue.push(batch(1)) else { panic!("it was taken") };
        assert_eq!(error.kind, PublishErrorKind::NotSent);
        assert!(queue.recovered());
        assert!(queue.push(batch(1)).is_ok());
    }

    #[test]
    fn misshapen_batches_are_refused_for_good() {
        let queue = LaneQueue::new(BOUNDS);
        let no_line_feed = Batch { lines: Bytes::from_static(b"x"), ..batch(1) };
        let too_long = Batch { lines: Bytes::from(format!("{}\n", "x".repeat(100))), ..batch(1) };
        for wrong in [batch(0), batch(5), no_line_feed, too_long] {
            let Err(Refusal::Error(error)) = queue.push(wrong) else { panic!("it was taken") };
            assert_eq!(error.kind, PublishErrorKind::Refused);
        }
    }

    #[test]
    fn a_full_batch_is_served_beside_one_single_at_a_time() {
        let queue = LaneQueue::new(Bounds { queue_entries: 400, queue_bytes: 10_000, ..BOUNDS });
        let bulks: Vec<_> = (0..2).map(|_| queue.push(batch_of("bulk", 4)).ok()).collect();
        let mut served = 0;
        for _ in 0..50 {
            assert!(queue.push(batch_of("single", 1)).is_ok());
            served += queue.take().iter().filter(|pending| pending.batch.entries == 4).count();
        }
        assert_eq!(served, bulks.len());
    }
}
