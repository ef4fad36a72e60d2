//! The lanes of the log: one protocol state machine each, behind a lock that is held for a lookup and no longer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use ledger::AccountKey;
use protocol::{
    commit::Progress,
    lane::partition_of,
    log::{LogIdentity, LogName},
    notice::Notice,
    query::{
        EntryKey, FillId, FillOutcome, FillTicket, LaneSettings, NoticeEffect, ProgressEffect, ProgressTicket,
        QueryLane, Reading, Stamp,
    },
};
use tokio::sync::{Notify, watch};

use crate::{
    flight::Landed,
    http::{answer::Answer, stamp::RenderedStamp},
    read::Representation,
};

/// What a reader waits for: `None` until the fill has landed.
pub(crate) type Flight = watch::Receiver<Option<Landed>>;

/// Milliseconds since the process began to serve; never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What [`Lane::read`] found.
pub(crate) enum Found {
    /// An answer from the cache.
    Cached(Arc<Answer>, Arc<RenderedStamp>),
    /// Somebody reads it already.
    Join(Flight),
    /// The caller reads it, and others may join.
    Fill(FillTicket<Representation>, watch::Sender<Option<Landed>>, Flight),
    /// Not applied yet.
    Wait,
    /// The account is stopped.
    Stopped,
}

struct LaneState {
    machine: QueryLane<Representation, Arc<Answer>>,
    flights: HashMap<FillId, Flight>,
    rendered: Arc<RenderedStamp>,
}

/// One lane.
pub(crate) struct Lane {
    pub(crate) log: LogName,
    pub(crate) partition: u16,
    clock: Clock,
    state: Mutex<LaneState>,
    /// Readers who wait for a position, or for the worker's first word.
    moved: Notify,
    /// A worker has said something of it.
    heard: AtomicBool,
    /// Others have taken its place: nothing will move here any more.
    retired: AtomicBool,
}

impl Lane {
    fn new(settings: LaneSettings, clock: Clock) -> Self {
        let LaneSettings { log, partition, .. } = settings;
        let rendered = Arc::new(RenderedStamp::of_lane(log, partition, Stamp::default()));
        let machine = QueryLane::new(settings);
        let state = Mutex::new(LaneState { machine, flights: HashMap::new(), rendered });
        Self {
            log,
            partition,
            clock,
            state,
            moved: Notify::new(),
            heard: AtomicBool::default(),
            retired: AtomicBool::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a reader as far as this is possible without I/O.
    pub(crate) fn read(&self, key: &EntryKey<Representation>, minimum: u64) -> Found {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        match state.machine.read(key, minimum, now_ms) {
            Reading::Cached(answer, stamp) => Found::Cached(answer, self.render(&mut state, stamp)),
            Reading::Join(id) => state.flights.get(&id).map_or(Found::Wait, |flight| Found::Join(flight.clone())),
            Reading::Fill(ticket) => {
                let (sender, flight) = watch::channel(None);
                state.flights.insert(ticket.id(), flight.clone());
                Found::Fill(ticket, sender, flight)
            }
            Reading::Wait => Found::Wait,
            Reading::Stopped => Found::Stopped,
        }
    }

    /// Serves a reader who demands no position from the cache, or not at all.
    pub(crate) fn read_cached(&self, key: &EntryKey<Representation>) -> Option<(Arc<Answer>, Arc<RenderedStamp>)> {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        let (answer, stamp) = state.machine.read_cached(key, now_ms)?;
        Some((answer, self.render(&mut state, stamp)))
    }

    /// The texts of the stamp, made anew only when it has changed.
    fn render(&self, state: &mut LaneState, stamp: Stamp) -> Arc<RenderedStamp> {
        if state.rendered.stamp != stamp {
            state.rendered = Arc::new(RenderedStamp::of_lane(self.log, self.partition, stamp));
        }
        Arc::clone(&state.rendered)
    }

    /// Ends a fill that has read the store.
    pub(crate) fn finish_fill(
        &self,
        ticket: FillTicket<Representation>,
        kept: Option<(Arc<Answer>, usize)>,
    ) -> FillOutcome {
        let mut state = self.lock();
        state.flights.remove(&ticket.id());
        state.machine.finish_fill(ticket, kept, self.clock.now_ms())
    }

    /// Ends a fill that has failed.
    pub(crate) fn abandon_fill(&self, ticket: FillTicket<Representation>) {
        let mut state = self.lock();
        state.flights.remove(&ticket.id());
        state.machine.abandon_fill(ticket);
    }

    /// Position, time and completeness at present.
    pub(crate) fn stamp(&self) -> Stamp {
        self.lock().machine.stamp(self.clock.now_ms())
    }

    /// See [`QueryLane::is_refused`].
    pub(crate) fn is_refused(&self) -> bool {
        self.lock().machine.is_refused()
    }

    /// Whether notices come, so that progress need not be read.
    pub(crate) fn hears_notices(&self) -> bool {
        self.lock().machine.hears_notices(self.clock.now_ms())
    }

    /// Entries and bytes that are cached.
    pub(crate) fn cached(&self) -> (usize, usize) {
        let state = self.lock();
        (state.machine.cached_entries(), state.machine.cached_bytes())
    }

    /// Waits until the position has changed, unless it already is at `minimum`, or until the store is lost: then the
    /// reader has to read progress.
    pub(crate) async fn reached(&self, minimum: u64) {
        let moved = self.moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        let will_move = !self.is_retired() && !self.lock().machine.awaits_progress();
        if self.stamp().position < minimum && will_move {
            moved.await;
        }
    }

    /// Whether its worker was heard since the start; a lane whose place others have taken is not waited for.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Acquire) || self.is_retired()
    }

    /// Whether others have taken its place: it hears nothing, and waiting for it returns at once.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Waits until something has changed, unless the worker was heard.
    pub(crate) async fn first_word(&self) {
        let moved = self.moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        if !self.was_heard() {
            moved.await;
        }
    }

    fn on_store_lost(&self) {
        self.lock().machine.on_store_lost();
        self.moved.notify_waiters();
    }

    pub(crate) fn on_notice(&self, notice: &Notice) -> NoticeEffect {
        let effect = self.lock().machine.on_notice(notice, self.clock.now_ms());
        let is_first_word = !effect.ignored && !self.heard.swap(true, Ordering::AcqRel);
        self.wake_if(effect.moved || is_first_word);
        effect
    }

    pub(crate) fn begin_progress_read(&self) -> ProgressTicket {
        self.lock().machine.begin_progress_read()
    }

    pub(crate) fn finish_progress_read(&self, ticket: ProgressTicket, progress: Option<&Progress>) -> ProgressEffect {
        let effect = self.lock().machine.finish_progress_read(ticket, progress);
        self.wake_if(effect.moved);
        effect
    }

    fn wake_if(&self, moved: bool) {
        if moved {
            self.moved.notify_waiters();
        }
    }
}

/// All lanes of the log.
pub(crate) struct Lanes {
    lanes: Vec<Arc<Lane>>,
    /// The projection that they show.
    pub(crate) generation: u32,
    /// The log that they are of.
    pub(crate) log: LogIdentity,
    /// Until then a lane whose worker was not heard is not answered for.
    pub(crate) first_word_until: tokio::time::Instant,
}

/// What lanes are made from.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) generation: u32,
    pub(crate) log: LogIdentity,
    pub(crate) first_word_until: tokio::time::Instant,
    /// For all lanes together.
    pub(crate) cache_bytes: usize,
    /// See [`LaneSettings::commits_are_whole`].
    pub(crate) commits_are_whole: bool,
}

impl Lanes {
    pub(crate) fn new(layout: Layout, clock: Clock) -> Self {
        let Layout { generation, log, first_word_until, cache_bytes, commits_are_whole } = layout;
        let (name, partitions) = (log.name(), log.partitions.max(1));
        let cache_bytes = cache_bytes / usize::from(partitions);
        let settings = |partition| LaneSettings { generation, log: name, partition, cache_bytes, commits_are_whole };
        let lane = |partition| Arc::new(Lane::new(settings(partition), clock));
        Self { lanes: (0..partitions).map(lane).collect(), generation, log, first_word_until }
    }

    /// The account's lane.
    pub(crate) fn of(&self, account: &AccountKey) -> &Arc<Lane> {
        &self.lanes[usize::from(partition_of(account, self.count()))]
    }

    pub(crate) fn get(&self, partition: u16) -> Option<&Arc<Lane>> {
        self.lanes.get(usize::from(partition))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Arc<Lane>> {
        self.lanes.iter()
    }

    pub(crate) fn count(&self) -> u16 {
        u16::try_from(self.lanes.len()).unwrap_or(u16::MAX)
    }

    /// Notices may be missing.
    pub(crate) fn on_notices_lost(&self) {
        for lane in &self.lanes {
            lane.lock().machine.on_notices_lost();
        }
    }

    /// The store may have lost rows.
    pub(crate) fn on_store_lost(&self) {
        for lane in &self.lanes {
            lane.on_store_lost();
        }
    }

    /// Whether others have taken their place: what is stored may be another log's.
    pub(crate) fn are_retired(&self) -> bool {
        self.lanes.iter().any(|lane| lane.is_retired())
    }

    /// Other lanes have taken the place of these: their waiting readers look again.
    pub(crate) fn retire(&self) {
        for lane in &self.lanes {
            lane.lock().machine.retire();
            lane.retired.store(true, Ordering::Release);
            lane.moved.notify_waiters();
        }
    }
}
