//! On which threads lanes work, where all services share the cores.
//!
//! What ingest acknowledges is on the log, and a caller waits for it; when it becomes a balance is a matter of milliseconds
//! more or less. So in a flood lanes work on *patient* threads, which run only on a core that nobody else wants, as long as
//! they are close behind the log. As soon as one is not, or patient threads find no time at all, and where there is no
//! flood, all lanes work on *insistent* ones, which keep a share of the cores. Moving is not a new start: the same future is
//! polled by the other threads.

use std::{pin::Pin, sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
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
use crate::{lanes::Statuses, status};

mod canary;
mod choice;

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

/// Where the lanes' work is spawned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Option<Arc<Moves>>);

#[derive(Debug)]
struct Moves {
    threads: Threads,
    kind: watch::Receiver<Kind>,
    _watching: Option<AbortOnDropHandle<()>>,
}

impl Places {
    /// Without `threads` everything works where it is spawned. Insistent at first: a start catches up.
    pub(crate) fn new(threads: Option<(Threads, Gauge)>, statuses: Statuses) -> Self {
        Self(threads.map(|(threads, insists)| {
            let (sender, kind) = watch::channel(Kind::Insistent);
            let canary = Canary::start(&threads.patient);
            let watching = threads.insistent.spawn(watch_lanes(statuses, canary, sender, insists));
            Arc::new(Moves { threads, kind, _watching: Some(AbortOnDropHandle::new(watching)) })
        }))
    }

    /// Whether lanes let all others go first now.
    pub(crate) fn are_patient(&self) -> bool {
        self.0.as_ref().is_some_and(|moves| *moves.kind.borrow() == Kind::Patient)
    }

    /// Begins `work`, which from then on moves as the lanes do.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Moving<T> {
        let mut tasks = JoinSet::new();
        match &self.0 {
            None => drop(tasks.spawn(async move { Some(work.await) })),
            Some(moves) => {
                let work: Work<T> = Arc::new(Mutex::new(Some(Box::pin(work))));
                let turns = |kind| take_turns(Arc::clone(&work), moves.kind.clone(), kind);
                tasks.spawn_on(turns(Kind::Patient), &moves.threads.patient);
                tasks.spawn_on(turns(Kind::Insistent), &moves.threads.insistent);
            }
        }
        Moving(tasks)
    }
}

/// `None` once it is done.
type Work<T> = Arc<Mutex<Option<Pin<Box<dyn Future<Output = T> + Send>>>>>;

/// Works while it is the turn of `mine`; `None` when the others have done it, or nobody chooses any more.
async fn take_turns<T>(work: Work<T>, mut kind: watch::Receiver<Kind>, mine: Kind) -> Option<T> {
    loop {
        kind.wait_for(|kind| *kind == mine).await.ok()?;
        let mut held = work.lock().await;
        let done = tokio::select! {
            biased;
            moved = kind.wait_for(|kind| *kind != mine) => {
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

/// Looks at the lanes and chooses, for ever.
async fn watch_lanes(statuses: Statuses, canary: Canary, kind: watch::Sender<Kind>, insists: Gauge) {
    let mut choice = Choice::default();
    let mut ticks = interval(LOOKS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let behind = status::furthest_behind(&statuses, now);
        let seen = Seen { launches: status::launches(&statuses), behind, silent_for: canary.silent_for(now) };
        let chosen = choice.look(now, seen);
        insists.set(i64::from(chosen == Kind::Insistent));
        if kind.send_if_modified(|kind| std::mem::replace(kind, chosen) != chosen) {
            match chosen {
                Kind::Patient => debug!("a flood: the lanes work where nobody else wants a core"),
                Kind::Insistent => debug!("the lanes take their share of the cores"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
