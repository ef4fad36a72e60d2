//! On which threads lanes work, where all services share the cores, and when they read.
//!
//! What ingest acknowledges is on the log, and a caller waits for it; when it becomes a balance is a matter of milliseconds
//! more or less. So in a flood lanes work on *patient* threads, which run only on a core that nobody else wants, as long as
//! they are close behind the log. In a great flood they *rest* besides: they read nothing for a while, so that callers have
//! the cores and the log to themselves. As soon as a lane is not close behind, or patient threads find no time at all, and
//! where there is no flood, all lanes work on *insistent* threads, which keep a share of the cores. Moving is not a new start:
//! the same future is polled by the other threads.

use std::{pin::Pin, sync::Arc, time::Duration};

use nats::Log;
use tokio::{
    runtime::Handle,
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use self::{
    canary::Canary,
    choice::{Choice, Seen},
};
use crate::{lanes::Statuses, metrics::ModeMetrics, status};

mod canary;
mod choice;
mod rests;

/// How often is looked how far the lanes are behind.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// Two runtimes whose threads the system treats differently.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Its threads run only where nothing else wants to.
    pub patient: Handle,
    /// Its threads keep a share of a core that others want, too.
    pub insistent: Handle,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Patient,
    Insistent,
}

/// How lanes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// On insistent threads.
    Insistent,
    /// On patient ones.
    Patient,
    /// On patient ones, without reading on.
    Resting,
}

impl Mode {
    fn kind(self) -> Kind {
        match self {
            Self::Insistent => Kind::Insistent,
            Self::Patient | Self::Resting => Kind::Patient,
        }
    }
}

/// Where the lanes' work is spawned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Option<Arc<Moves>>);

#[derive(Debug)]
struct Moves {
    threads: Threads,
    mode: watch::Receiver<Mode>,
    _watching: Option<AbortOnDropHandle<()>>,
}

impl Places {
    /// Without `threads` everything works where it is spawned. Insistent at first: a start catches up.
    pub(crate) fn new(threads: Option<(Threads, ModeMetrics)>, log: &Log, statuses: Statuses) -> Self {
        Self(threads.map(|(threads, metrics)| {
            let (sender, mode) = watch::channel(Mode::Insistent);
            let watched = Watched { log: log.clone(), statuses, canary: Canary::start(&threads.patient) };
            let watching = threads.insistent.spawn(watch_lanes(watched, sender, metrics));
            Arc::new(Moves { threads, mode, _watching: Some(AbortOnDropHandle::new(watching)) })
        }))
    }

    /// Whether lanes let all others go first now.
    pub(crate) fn are_patient(&self) -> bool {
        self.0.as_ref().is_some_and(|moves| moves.mode.borrow().kind() == Kind::Patient)
    }

    /// Waits while lanes rest. Cancel safe.
    pub(crate) async fn rested(&self) {
        if let Some(moves) = &self.0 {
            // It fails when nobody chooses any more: then the work ends anyway.
            drop(moves.mode.clone().wait_for(|mode| *mode != Mode::Resting).await);
        }
    }

    /// Tells of rests that begin from now on.
    pub(crate) fn rests(&self) -> RestBell {
        RestBell(self.0.as_ref().map(|moves| moves.mode.clone()))
    }

    /// Begins `work`, which from then on moves as the lanes do.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Moving<T> {
        let mut tasks = JoinSet::new();
        match &self.0 {
            None => drop(tasks.spawn(async move { Some(work.await) })),
            Some(moves) => {
                let work: Work<T> = Arc::new(Mutex::new(Some(Box::pin(work))));
                let turns = |kind| take_turns(Arc::clone(&work), moves.mode.clone(), kind);
                tasks.spawn_on(turns(Kind::Patient), &moves.threads.patient);
                tasks.spawn_on(turns(Kind::Insistent), &moves.threads.insistent);
            }
        }
        Moving(tasks)
    }
}

/// See [`Places::rests`].
pub(crate) struct RestBell(Option<watch::Receiver<Mode>>);

impl RestBell {
    /// Waits until lanes begin to rest; for ever where they do not. Cancel safe.
    pub(crate) async fn rung(&mut self) {
        if let Some(mode) = &mut self.0 {
            while mode.changed().await.is_ok() {
                if *mode.borrow_and_update() == Mode::Resting {
                    return;
                }
            }
        }
        std::future::pending().await
    }
}

/// `None` once it is done.
type Work<T> = Arc<Mutex<Option<Pin<Box<dyn Future<Output = T> + Send>>>>>;

/// Works while it is the turn of `mine`; `None` when the others have done it, or nobody chooses any more.
async fn take_turns<T>(work: Work<T>, mut mode: watch::Receiver<Mode>, mine: Kind) -> Option<T> {
    loop {
        mode.wait_for(|mode| mode.kind() == mine).await.ok()?;
        let mut held = work.lock().await;
        let done = tokio::select! {
            biased;
            moved = mode.wait_for(|mode| mode.kind() != mine) => {
                moved.ok()?;
                continue;
            }
            done = held.as_mut()? => done,
        };
        *held = None;
        return Some(done);
    }
}

/// Work that was spawned; dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Moving<T>(JoinSet<Option<T>>);

impl<T: Send + 'static> Moving<T> {
    /// Waits for its end.
    ///
    /// # Errors
    /// It panicked, or its threads are gone.
    pub(crate) async fn ended(mut self) -> Result<T, String> {
        while let Some(ended) = self.0.join_next().await {
            if let Some(done) = ended.map_err(|error| error.to_string())? {
                return Ok(done);
            }
        }
        Err("its threads are gone".to_owned())
    }
}

/// What is looked at.
struct Watched {
    log: Log,
    statuses: Statuses,
    canary: Canary,
}

impl Watched {
    fn look(&self, now: Instant) -> Seen {
        Seen {
            posted: self.log.launches_stored(),
            taken: status::launches(&self.statuses),
            behind: status::furthest_behind(&self.statuses, now),
            silent_for: self.canary.silent_for(now),
        }
    }
}

/// Looks and chooses, for ever.
async fn watch_lanes(watched: Watched, mode: watch::Sender<Mode>, metrics: ModeMetrics) {
    let mut choice = Choice::default();
    let mut ticks = interval(LOOKS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let chosen = choice.look(now, watched.look(now));
        metrics.insists.set(i64::from(chosen == Mode::Insistent));
        if mode.send_if_modified(|mode| std::mem::replace(mode, chosen) != chosen) {
            match chosen {
                Mode::Insistent => debug!("the lanes take their share of the cores"),
                Mode::Patient => debug!("a flood: the lanes work where nobody else wants a core"),
                Mode::Resting => {
                    metrics.rests.inc();
                    debug!("a great flood: the lanes rest");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
