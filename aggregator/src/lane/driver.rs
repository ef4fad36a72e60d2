//! The loop that drives a worker: one `select!` over what is under way, what is read, the lane's end, and the shutdown.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::{
    notice::Notice,
    worker::{Remedy, Step, Worker},
};
use tokio::{
    sync::watch::Receiver,
    time::{MissedTickBehavior, interval},
};
use tracing::info;

use super::{
    Ended, Lane,
    confirming::{Confirmed, Confirming},
    ends::{Ends, LaneEnd},
    flight::{Flight, Landed},
    notifier::Notifier,
    pace::Pace,
    reading::{Incoming, Reading},
    report::Report,
    verify::Fetched,
};
use crate::{compute::compute, log_watch::LogHealth, metrics::RestartReason};

/// Messages taken from the reading task at a time: a flood of empty ones costs few wake-ups.
const TAKEN_AT_ONCE: usize = 256;

/// The worker wants to be asked at least this often.
const TICK: Duration = Duration::from_secs(1);

/// The time that a worker is told: it does not go back.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A worker with all that it needs of the world.
pub(super) struct Driver {
    lane: Arc<Lane>,
    worker: Worker,
    clock: Clock,
    incarnation: u64,
    reading: Reading,
    ends: Ends,
    confirming: Confirming,
    log_health: Receiver<LogHealth>,
    notifier: Notifier,
    report: Report,
    flight: Option<Flight>,
    pace: Pace,
    /// When the commit in flight left.
    commit_left: Instant,
    /// Read, and not yet offered to the worker.
    taken: VecDeque<Incoming>,
    /// The reader was recreated: nothing is offered or begun before the log is verified.
    must_verify: bool,
    /// Other processes may have written meanwhile: what is stored is read before the log is verified.
    must_look: bool,
    /// The log was verified once: the worker is at work.
    is_started: bool,
    /// Bytes of the run that is being folded: whether a step may take long.
    run_bytes: usize,
}

impl Driver {
    pub(super) fn new(lane: Arc<Lane>, worker: Worker, clock: Clock, incarnation: u64) -> Self {
        Self {
            reading: Reading::start(Arc::clone(&lane), worker.read_from()),
            ends: Ends::start(Arc::clone(&lane)),
            confirming: Confirming::start(Arc::clone(&lane), incarnation),
            log_health: lane.log_health.clone(),
            notifier: Notifier::start(Arc::clone(&lane)),
            report: Report::new(Arc::clone(&lane)),
            lane,
            worker,
            clock,
            incarnation,
            flight: None,
            pace: Pace::default(),
            commit_left: Instant::now(),
            taken: VecDeque::with_capacity(TAKEN_AT_ONCE),
            must_verify: false,
            must_look: false,
            is_started: false,
            run_bytes: 0,
        }
    }

    /// Works until the session ends; also says whether anything was committed.
    pub(super) async fn drive(mut self) -> (Ended, bool) {
        let ended = self.work().await;
        self.report.note(&self.worker, 0);
        let has_committed = self.worker.counters().commits > 0;
        self.notifier.finish().await;
        (ended, has_committed)
    }

    async fn work(&mut self) -> Ended {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(TAKEN_AT_ONCE);
        loop {
            let may_take = self.taken.is_empty() && !self.must_verify && self.worker.has_room();
            let went_on = tokio::select! {
                biased;
                () = self.lane.shutdown.begun() => return self.finish().await,
                landed = landed(self.flight.as_mut()) => self.land(landed),
                _ = ticks.tick() => self.tick(),
                Ok(()) = self.ends.receiver.changed(), if self.is_started => self.heartbeat(),
                Ok(()) = self.confirming.receiver.changed() => self.confirmed(),
                Ok(()) = self.log_health.changed() => self.log_health_changed(),
                () = due(self.pace.waits_until()) => Ok(()),
                count = self.reading.incoming.recv_many(&mut batch, TAKEN_AT_ONCE), if may_take => self.take(count, &mut batch),
            };
            if let Err(ended) = went_on.and_then(|()| self.go_on()) {
                return ended;
            }
        }
    }

    /// What is in flight has landed.
    fn land(&mut self, landed: Result<Landed, Ended>) -> Result<(), Ended> {
        self.flight = None;
        let now_ms = self.clock.now_ms();
        match landed? {
            Landed::Looked(state) => self.worker.store_says(&state)?,
            Landed::Fetched(fetched) => self.verified(&fetched)?,
            Landed::Loaded(loaded) => compute(self.run_bytes, || self.worker.loaded(loaded)),
            Landed::Parked => self.worker.parked(),
            Landed::Committed => {
                compute(self.run_bytes, || self.worker.committed(now_ms));
                let (took, is_patient) = (self.commit_left.elapsed(), self.lane.places.are_patient());
                self.pace.committed(Instant::now().into(), took, self.run_bytes, is_patient);
                self.report.committed(&self.worker, self.reading.waiting_bytes());
                self.tell()?;
                self.run_bytes = 0;
            }
            Landed::CheckpointWritten => self.worker.checkpoint_written(),
        }
        Ok(())
    }

    /// The notice of a commit leaves at once, also when the next run waits.
    fn tell(&mut self) -> Result<(), Ended> {
        match self.worker.next(self.clock.now_ms()) {
            Step::Notify(notice) => self.send(notice),
            Step::Restart(reason) => return Err(Ended::Restart(RestartReason::StoodStill, reason.to_string())),
            Step::Refuse(refusal) => return Err(refusal.into()),
            _ => {}
        }
        Ok(())
    }

    fn verified(&mut self, fetched: &Fetched) -> Result<(), Ended> {
        self.worker.verify(&fetched.found)?;
        self.ends_at(fetched.end);
        self.must_verify = false;
        if !self.is_started {
            self.is_started = true;
            info!(partition = self.lane.partition(), from = self.worker.read_from(), "at work");
            self.lane.started();
            self.send(self.worker.heartbeat());
        }
        Ok(())
    }

    fn take(&mut self, count: usize, batch: &mut Vec<Incoming>) -> Result<(), Ended> {
        self.taken.extend(batch.drain(..));
        if count == 0 {
            Err(Ended::Restart(RestartReason::Panic, "the reading task is gone".to_owned()))
        } else {
            Ok(())
        }
    }

    /// Gives the worker what it has room for, and begins what it wants done next.
    fn go_on(&mut self) -> Result<(), Ended> {
        self.offer_taken()?;
        if self.flight.is_some() {
            return Ok(());
        }
        if std::mem::take(&mut self.must_look) {
            self.flight = Some(Flight::look(Arc::clone(&self.lane)));
            return Ok(());
        }
        if self.must_verify {
            self.flight = Some(Flight::verify(Arc::clone(&self.lane), self.worker.marks_to_verify()));
            return Ok(());
        }
        if self.is_started { self.step() } else { Ok(()) }
    }

    fn offer_taken(&mut self) -> Result<(), Ended> {
        while !self.must_verify && self.worker.has_room() {
            match self.taken.pop_front() {
                None => break,
                Some(Incoming::Created) => {
                    self.must_verify = true;
                    self.must_look = !self.lane.worker.atomic_commits;
                }
                // A commit cannot be called back: the next session must find what it writes, so it lands first.
                Some(ended @ Incoming::Ended(_)) if self.flight.is_some() => {
                    self.taken.push_front(ended);
                    break;
                }
                Some(Incoming::Ended(why)) => return Err(Ended::Restart(RestartReason::LogChanged, why)),
                Some(Incoming::Message(parsed, _waiting)) => {
                    self.pace.message(Instant::now().into());
                    self.report.saw(&parsed);
                    self.worker.offer(parsed);
                }
            }
        }
        Ok(())
    }

    /// Does what the worker says, until something is in flight or it waits.
    fn step(&mut self) -> Result<(), Ended> {
        if self.gathers() {
            return Ok(());
        }
        while self.flight.is_none() {
            let lane = Arc::clone(&self.lane);
            match self.next() {
                Step::Wait => return Ok(()),
                Step::Notify(notice) => self.send(notice),
                Step::Load(request) => self.flight = Some(Flight::load(lane, self.incarnation, request)),
                Step::Park(messages) => self.flight = Some(Flight::park(lane, messages)),
                Step::Commit(commit) => {
                    self.commit_left = Instant::now();
                    self.flight = Some(Flight::commit(lane, self.incarnation, commit));
                }
                Step::WriteCheckpoint(mark) => {
                    self.flight = Some(Flight::write_checkpoint(lane, self.incarnation, mark));
                }
                Step::Restart(reason) => return Err(Ended::Restart(RestartReason::StoodStill, reason.to_string())),
                Step::Refuse(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }

    fn gathers(&mut self) -> bool {
        if self.worker.read_ahead_bytes() >= self.lane.worker.read_ahead_bytes / 2 {
            self.pace.enough();
        }
        self.pace.gathers(Instant::now().into())
    }

    fn next(&mut self) -> Step {
        self.run_bytes = self.run_bytes.max(self.worker.read_ahead_bytes());
        let now_ms = self.clock.now_ms();
        compute(self.run_bytes, || self.worker.next(now_ms))
    }

    /// Every second: sizes for `/metrics`; and the worker hears of time, also while something is in flight: it says the
    /// same again then.
    fn tick(&mut self) -> Result<(), Ended> {
        self.report.note(&self.worker, self.reading.waiting_bytes());
        let is_asked_anyway = self.flight.is_none();
        if is_asked_anyway || self.must_verify || !self.is_started {
            return Ok(());
        }
        match self.next() {
            Step::Restart(reason) => Err(Ended::Restart(RestartReason::StoodStill, reason.to_string())),
            Step::Refuse(refusal) => Err(refusal.into()),
            _ => Ok(()),
        }
    }

    /// Every second, as long as the log tells the lane's end: a heartbeat with an old end would promise too much.
    fn heartbeat(&mut self) -> Result<(), Ended> {
        let end = *self.ends.receiver.borrow_and_update();
        self.ends_at(end);
        self.send(self.worker.heartbeat());
        Ok(())
    }

    fn ends_at(&mut self, end: LaneEnd) {
        self.worker.log_ends_at(end.sequence);
        self.report.ends_at(end);
    }

    /// The store was asked about itself. That it is another one is found out by whatever is in flight, too, and that lands
    /// first.
    fn confirmed(&mut self) -> Result<(), Ended> {
        let confirmed = *self.confirming.receiver.borrow_and_update();
        let is_in_flight = self.flight.is_some();
        match confirmed {
            Confirmed::At(asked)
                if asked.elapsed() <= Duration::from_millis(self.lane.worker.checkpoint_lag_ms / 2) =>
            {
                self.worker.store_unchanged(self.clock.now_ms());
                Ok(())
            }
            Confirmed::Lost if !is_in_flight => {
                let why = "a node of the store restarted or was lost".to_owned();
                Err(Ended::Restart(RestartReason::StoreLost, why))
            }
            _ => Ok(()),
        }
    }

    /// A log that is not what the lanes rely on stops them, until it is again.
    fn log_health_changed(&mut self) -> Result<(), Ended> {
        let refused = self.log_health.borrow_and_update().refused().map(str::to_owned);
        refused.map_or(Ok(()), |why| Err(Ended::Refused(why, Remedy::None)))
    }

    fn send(&mut self, notice: Notice) {
        let log_is_whole = self.log_health.borrow().is_whole();
        let notice = Notice { log_is_whole, ..notice };
        self.report.stands(&notice);
        self.notifier.send(notice);
    }

    /// The shutdown has begun: a commit in flight may end, and is told; everything else is given up.
    async fn finish(&mut self) -> Ended {
        let Some(mut flight) = self.flight.take_if(|flight| flight.is_commit()) else { return Ended::Stopped };
        let landed = tokio::select! {
            landed = flight.landed() => landed,
            () = self.lane.shutdown.expired() => return Ended::Stopped,
        };
        // Whatever it landed with, this session ends.
        let _told = self.land(landed);
        Ended::Stopped
    }
}

/// Waits until then; for ever when nothing is due.
async fn due(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for what is in flight; for ever when nothing is.
async fn landed(flight: Option<&mut Flight>) -> Result<Landed, Ended> {
    match flight {
        Some(flight) => flight.landed().await,
        None => std::future::pending().await,
    }
}
