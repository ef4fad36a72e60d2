//! The worker's core: folds one lane of the log into commits, without I/O.
//!
//! # What the driver does
//! | when | call |
//! |---|---|
//! | at the start | read [`PartitionState`], [`Worker::start`]; then fetch the messages at [`Worker::marks_to_verify`], [`Worker::verify`] |
//! | whenever the reader is recreated | read [`PartitionState`] again where workers of other processes write, [`Worker::store_says`]; the marks again, before anything is offered |
//! | a message is read (from [`Worker::read_from`] on) | [`ParsedMessage::parse`], on any thread; [`Worker::offer`] while [`Worker::has_room`] |
//! | always, and at least every second | [`Worker::next`], and do what the [`Step`] says |
//! | every second | publish [`Worker::heartbeat`] |
//! | the lane's end is known anew | [`Worker::log_ends_at`] |
//! | the store is not atomic, every few seconds | ask all nodes for their generation; all as at the start: [`Worker::store_unchanged`] |
//! | the store lost rows (`Lost`, a node's generation changed) | drop the worker, start a new one from what is stored |
//!
//! # How a run of messages goes
//! gather (cut on message boundaries) → load what is not held → check the days loaded → decide window by window what counts →
//! apply it to rows → park bad lines → commit → notify → move the checkpoint, when safe. One run at a time; meanwhile
//! messages are read ahead, so that the next run takes all that has gathered.
//!
//! Nothing of a run is visible outside before its commit, and everything in a commit is idempotent: a worker may be dropped
//! at any moment.

mod build;
mod claims;
pub(crate) mod config;
mod counters;
mod day_check;
mod fold;
mod folding;
mod groups;
mod held;
mod loading;
mod memory;
mod parking;
mod parse;
mod queue;
mod refusal;
mod rows;
mod run;
mod safety;
mod slots;
mod step;
mod stops;
mod telling;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

pub use config::WorkerConfig;
pub use counters::Counters;
pub use parse::{BadLine, ParsedEntry, ParsedMessage};
pub use refusal::{Refusal, Remedy};
pub use step::{RestartReason, Step};
pub use verify::check_other_lane;

use claims::Claims;
use config::{Bounds, Rules};
use held::Held;
use queue::ReadAhead;
use run::Run;
use stops::Stops;
use verify::Known;

use crate::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded},
    log::{LogIdentity, LogMark},
    notice::{Changed, Notice},
    parked::ParkedMessage,
};

/// Version of the fold's rules. A generation filled by another version must not be written into.
pub const FOLD_VERSION: u32 = 1;

/// See the head of this module.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    bounds: Bounds,
    rules: Rules,
    identity: LogIdentity,
    partition: u16,
    generation: u32,
    /// Its own number, which its notices carry.
    number: u64,
    queue: ReadAhead,
    held: Held,
    claims: Claims,
    stops: Stops,
    phase: Phase,
    /// Number of the last run.
    runs: u64,
    /// Up to here rows may exist, as far as this worker knows.
    head: LogMark,
    /// Whether the log was found to agree with the store when the worker started.
    is_verified: bool,
    stored_progress: Option<Known>,
    /// Up to here all is committed, and the log's time of that message (0 while unknown).
    committed: LogMark,
    committed_time_ms: i64,
    /// Up to here the store keeps everything, whatever happens.
    safe: LogMark,
    /// Where the store says that a worker resumes.
    checkpoint: LogMark,
    /// Progress or head as found at the start, whichever is higher: below it the worker replays.
    replays_up_to: u64,
    log_end: u64,
    /// Notice to be handed out next.
    notice: Option<Notice>,
    refusal: Option<Refusal>,
    restart: Option<RestartReason>,
    last_call_ms: u64,
    /// What was safe when nothing could be evicted: to try again before that moves is in vain.
    eviction_failed_at: Option<u64>,
    counters: Counters,
}

/// What the worker waits for.
#[derive(Debug)]
enum Phase {
    /// Nothing: a run may begin.
    Idle,
    Loading(Run, Arc<LoadRequest>),
    Parking(Folded),
    Committing(Folded),
    /// Only where the rule about parking first is left out.
    ParkingLate(Folded),
    WritingCheckpoint(LogMark),
}

/// A run that is decided and applied, on its way out.
#[derive(Clone, Debug)]
struct Folded {
    parked: Arc<Vec<ParkedMessage>>,
    commit: Arc<Commit>,
    mark: LogMark,
    changed: Changed,
}

impl Worker {
    /// A worker of `partition` that goes on where the store says. `number` is random and new with each start: its notices
    /// carry it. `now_ms` is any clock that does not go back.
    ///
    /// # Errors
    /// Log and store do not belong together.
    pub fn start(
        config: WorkerConfig,
        identity: LogIdentity,
        partition: u16,
        generation: u32,
        number: u64,
        state: &PartitionState,
        now_ms: u64,
    ) -> Result<Self, Refusal> {
        verify::check_state(&identity, partition, state)?;
        let progress = state.progress.as_ref();
        let replays_up_to = verify::progress_of(state).max(state.head.sequence);
        let at_checkpoint = progress.filter(|progress| progress.sequence == state.checkpoint.sequence);
        Ok(Self {
            claims: Claims::new(config.checkpoint_lag_ms),
            config,
            bounds: Bounds::default(),
            rules: Rules::default(),
            identity,
            partition,
            generation,
            number,
            queue: ReadAhead::default(),
            held: Held::default(),
            stops: Stops::default(),
            phase: Phase::Idle,
            runs: 0,
            head: state.head,
            is_verified: false,
            stored_progress: Known::of_progress(progress),
            committed: state.checkpoint,
            committed_time_ms: at_checkpoint.map_or(0, |progress| progress.time_ms),
            safe: state.checkpoint,
            checkpoint: state.checkpoint,
            replays_up_to,
            log_end: 0,
            notice: None,
            refusal: None,
            restart: None,
            last_call_ms: now_ms,
            eviction_failed_at: None,
            counters: Counters::default(),
        })
    }

    /// A worker with other bounds, or with rules left out.
    pub(crate) fn with_rules(mut self, bounds: Bounds, rules: Rules) -> Self {
        if !rules.replays_up_to_head {
            self.replays_up_to = self.stored_progress.as_ref().map_or(0, Known::sequence);
        }
        (self.bounds, self.rules) = (bounds, rules);
        self
    }

    /// The first stream sequence to read, after the start or when the reader is recreated.
    pub fn read_from(&self) -> u64 {
        self.last_read() + 1
    }

    fn last_read(&self) -> u64 {
        self.queue.last_sequence().unwrap_or(self.committed.sequence)
    }

    /// Whether another message may be offered.
    pub fn has_room(&self) -> bool {
        self.queue.bytes() < self.config.read_ahead_bytes
    }

    /// Bytes that are offered and not yet gathered into a run.
    pub fn read_ahead_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Takes the next message of the lane. One that was offered before is ignored.
    pub fn offer(&mut self, parsed: ParsedMessage) {
        if parsed.sequence() > self.last_read() {
            self.log_end = self.log_end.max(parsed.sequence());
            self.queue.push(parsed);
        }
    }

    /// The last sequence of the lane, as far as the driver knows.
    pub fn log_ends_at(&mut self, sequence: u64) {
        self.log_end = self.log_end.max(sequence);
    }

    /// What to do next. Says the same again until it is acknowledged, but for notices.
    pub fn next(&mut self, now_ms: u64) -> Step {
        self.notice_standstill(now_ms);
        if let Some(reason) = self.restart {
            return Step::Restart(reason);
        }
        if let Some(refusal) = &self.refusal {
            return Step::Refuse(refusal.clone());
        }
        if let Some(notice) = self.notice.take() {
            return Step::Notify(notice);
        }
        if matches!(self.phase, Phase::Idle) {
            self.begin();
        }
        self.step()
    }

    fn step(&self) -> Step {
        match &self.phase {
            Phase::Idle => self.refusal.clone().map_or(Step::Wait, Step::Refuse),
            Phase::Loading(_, request) => Step::Load(Arc::clone(request)),
            Phase::Parking(folded) | Phase::ParkingLate(folded) => Step::Park(Arc::clone(&folded.parked)),
            Phase::Committing(folded) => Step::Commit(Arc::clone(&folded.commit)),
            Phase::WritingCheckpoint(mark) => Step::WriteCheckpoint(*mark),
        }
    }

    /// Begins what is due: the checkpoint first, then the next run.
    fn begin(&mut self) {
        if let Some(mark) = self.checkpoint_due() {
            self.phase = Phase::WritingCheckpoint(mark);
            return;
        }
        if self.queue.is_empty() || !self.make_room() {
            return;
        }
        self.runs += 1;
        let (queue, held) = (&mut self.queue, &mut self.held);
        let run = Run::gather(self.runs, queue, held, &self.config, &self.bounds, self.rules);
        self.stops.mark(&run, &mut self.held);
        self.load_or_fold(run);
    }

    fn load_or_fold(&mut self, run: Run) {
        match loading::request(&run, &self.held, self.bounds.load_windows) {
            Some(request) => self.phase = Phase::Loading(run, request),
            None => self.fold(run),
        }
    }

    /// Acknowledges [`Step::Load`].
    pub fn loaded(&mut self, loaded: Loaded) {
        let Phase::Loading(run, request) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        self.counters.loads += 1;
        self.counters.windows_loaded += request.windows.len() as u64;
        let damaged = loading::install(&request, loaded, &mut self.held, self.committed, self.rules);
        for key in damaged {
            self.stops.stop(key, self.committed, &mut self.held);
        }
        self.stops.wait_for(loading::waiting(&request, &self.held));
        self.load_or_fold(run);
    }

    /// Acknowledges [`Step::Park`].
    pub fn parked(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Parking(folded) => Phase::Committing(folded),
            Phase::ParkingLate(_) => Phase::Idle,
            other => other,
        };
    }

    /// Acknowledges [`Step::Commit`].
    pub fn committed(&mut self, now_ms: u64) {
        self.notice_standstill(now_ms);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Committing(folded) => self.finish(folded, now_ms),
            other => other,
        };
    }

    /// Acknowledges [`Step::WriteCheckpoint`].
    pub fn checkpoint_written(&mut self) {
        if let Phase::WritingCheckpoint(mark) = self.phase {
            self.checkpoint = mark;
            self.phase = Phase::Idle;
        }
    }
}
