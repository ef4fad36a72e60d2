//! One reader's way: from the cache, with another's fill, with its own, after a wait, or refused.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ledger::{Digest, Tenant};
use protocol::{
    log::LogIdentity,
    position::Position,
    query::{Demand, DemandError, EntryKey, Stamp},
};
use retry::Shutdown;
use service::{
    fair::{FairPool, Permit},
    problem::{Problem, kinds},
};
use store::{Store, StoreError, StoreErrorKind};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    config::QueryConfig,
    flight::{self, Landed},
    http::{answer::Answer, stamp::RenderedStamp},
    lanes::{Flight, Found, Lane, Lanes},
    metrics::ReadMetrics,
    read::{self, AccountsPage, Representation},
    refusal::{
        nobody_heard, not_ready, not_yet_applied, other_log, overloaded, refused, shutting_down, stopped,
        store_unavailable,
    },
};

/// How often a reader begins anew because the store went back while it was read for: more often is no accident.
const MAX_NEW_BEGINNINGS: usize = 8;
/// How long a fill may wait for its turn at the store.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a reader asks for besides the answer itself.
#[derive(Clone, Debug)]
pub(crate) struct Wants {
    /// `Saldo-Min-Position`.
    pub(crate) position: Option<Position>,
    /// When its patience ends.
    pub(crate) deadline: Instant,
}

/// An answer with the stamp to send it with.
pub(crate) struct Served {
    pub(crate) answer: Arc<Answer>,
    pub(crate) stamp: Arc<RenderedStamp>,
}

/// A list that is not cached.
pub(crate) struct Listed {
    pub(crate) json: String,
    pub(crate) stamp: RenderedStamp,
    /// Weak: names the content.
    pub(crate) etag: String,
}

/// What may be answered at present.
#[derive(Clone, Default)]
enum Service {
    /// It is not known yet.
    #[default]
    Unknown,
    /// What is stored, by these lanes.
    Lanes(Arc<Lanes>),
    /// Nothing: the sentence is for operators.
    OtherLog(String),
}

/// Serves readers from lanes and store.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    service: RwLock<Service>,
    /// Readers who came before it was known what may be answered.
    laid_out: Notify,
    /// Reads of the store at once.
    turns: FairPool,
    /// Readers who are not answered from the cache at once; each keeps a connection busy.
    waiting: FairPool,
    /// Progress that was filled from another log than is served.
    strayed: watch::Sender<Option<LogIdentity>>,
    /// Why the stream does not say which log it is.
    stream_trouble: Mutex<Option<String>>,
    /// The store's incarnation that the lanes speak of.
    incarnation: AtomicU64,
    pub(crate) metrics: ReadMetrics,
    shutdown: Shutdown,
}

impl Reader {
    pub(crate) fn new(store: Arc<dyn Store>, config: &QueryConfig, metrics: ReadMetrics, shutdown: Shutdown) -> Self {
        let incarnation = AtomicU64::new(store.incarnation());
        let (turns, waiting) = (FairPool::new(config.max_fills), FairPool::new(config.http.max_connections));
        let (laid_out, strayed) = (Notify::new(), watch::Sender::new(None));
        let (service, stream_trouble) = (RwLock::default(), Mutex::default());
        Self { store, service, laid_out, turns, waiting, strayed, stream_trouble, incarnation, metrics, shutdown }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The lanes, where something may be answered.
    pub(crate) fn lanes(&self) -> Option<Arc<Lanes>> {
        match &*self.service.read().unwrap_or_else(PoisonError::into_inner) {
            Service::Lanes(lanes) => Some(Arc::clone(lanes)),
            Service::Unknown | Service::OtherLog(_) => None,
        }
    }

    /// Puts other lanes in place.
    pub(crate) fn replace_lanes(&self, lanes: Lanes) -> Arc<Lanes> {
        let lanes = Arc::new(lanes);
        self.replace_service(Service::Lanes(Arc::clone(&lanes)));
        lanes
    }

    /// From now on readers wait until it is known what may be answered.
    pub(crate) fn wait_to_know(&self) {
        self.replace_service(Service::Unknown);
    }

    /// From now on nothing is answered; why is for operators.
    pub(crate) fn withhold(&self, why: String) {
        self.replace_service(Service::OtherLog(why));
    }

    fn replace_service(&self, service: Service) {
        let mut present = self.service.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *present, service);
        drop(present);
        if let Service::Lanes(before) = before {
            before.retire();
        }
        self.laid_out.notify_waiters();
    }

    /// Whether it is known what may be answered, and something may.
    ///
    /// # Errors
    /// A sentence for operators.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &*self.service.read().unwrap_or_else(PoisonError::into_inner) {
            Service::Unknown => {
                let why = self.stream_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let why = why.unwrap_or_else(|| "NATS has not said yet which log there is".to_owned());
                Err(format!("it is not known of which log the store is: {why}"))
            }
            Service::Lanes(_) => Ok(()),
            Service::OtherLog(why) => Err(why.clone()),
        }
    }

    /// Why the stream does not say which log it is, if it does not.
    pub(crate) fn note_stream(&self, trouble: Option<String>) {
        *self.stream_trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// The lanes; a reader who comes before they are known waits for them as it would for a position.
    pub(crate) async fn lanes_for(&self, wants: &Wants) -> Result<Arc<Lanes>, Problem> {
        if let Some(outcome) = self.lanes_or_refusal() {
            return outcome;
        }
        let laid_out = self.laid_out.notified();
        tokio::pin!(laid_out);
        laid_out.as_mut().enable();
        if self.lanes_or_refusal().is_none() {
            tokio::select! {
                () = laid_out => {}
                () = sleep_until(wants.deadline) => {}
                () = self.shutdown.begun() => return Err(shutting_down()),
            }
        }
        self.lanes_or_refusal().unwrap_or_else(|| Err(not_ready()))
    }

    /// `None` as long as neither is known.
    fn lanes_or_refusal(&self) -> Option<Result<Arc<Lanes>, Problem>> {
        match &*self.service.read().unwrap_or_else(PoisonError::into_inner) {
            Service::Unknown => None,
            Service::Lanes(lanes) => Some(Ok(Arc::clone(lanes))),
            Service::OtherLog(_) => Some(Err(other_log())),
        }
    }

    /// Strays that were told before say nothing of what is read from now on.
    pub(crate) fn forget_strays(&self) {
        self.strayed.send_replace(None);
    }

    /// Tells of progress of another log than is served.
    pub(crate) fn strayed(&self) -> watch::Receiver<Option<LogIdentity>> {
        self.strayed.subscribe()
    }

    /// A turn at the store, one tenant after the other; `None` when it took too long.
    pub(crate) async fn permit(&self, tenant: &Tenant) -> Option<Permit> {
        timeout(TURN_TIMEOUT, self.turns.take(tenant)).await.ok()?
    }

    /// Empties what was read from another incarnation of the store.
    pub(crate) fn note_incarnation(&self) {
        let incarnation = self.store.incarnation();
        if self.incarnation.load(Ordering::Acquire) == incarnation {
            return;
        }
        tracing::warn!(store.incarnation = incarnation, "the store was reopened: all answers are read anew");
        if let Some(lanes) = self.lanes() {
            lanes.on_store_lost();
        }
        self.incarnation.store(incarnation, Ordering::Release);
    }

    /// Logs and counts an error of the store; whether a retry can help.
    pub(crate) fn note_failure(&self, error: &StoreError) -> bool {
        self.metrics.store_errors.inc();
        tracing::warn!(recurs = tracing::field::Empty, %error, "the store could not be read");
        error.retry_helps()
    }

    /// An answer about one account.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        key: &EntryKey<Representation>,
        wants: &Wants,
    ) -> Result<Served, Problem> {
        let _place = self.waiting.try_take(&key.account.tenant, 1).ok_or_else(overloaded)?;
        // To be applied before what was read may be answered, of the lanes with this name.
        let mut waits_for = (None, 0);
        let mut beginnings = 0;
        while beginnings < MAX_NEW_BEGINNINGS {
            let lanes = self.lanes_for(wants).await?;
            let lane = lanes.of(&key.account);
            let name = Some(lanes.log.name());
            let of_rows = if waits_for.0 == name { waits_for.1 } else { 0 };
            let minimum = demand(wants, &lanes)?.of_lane(lane.partition).max(of_rows);
            self.meet(&lanes, lane, wants).await?;
            self.freshen(&lanes, lane).await?;
            let flight = match lane.read(key, minimum) {
                Found::Cached(answer, stamp) => {
                    self.metrics.cached.inc();
                    return Ok(Served { answer, stamp });
                }
                Found::Wait => {
                    self.wait(lane, minimum, wants).await?;
                    continue;
                }
                Found::Stopped => return Err(if lane.is_refused() { refused(lane) } else { stopped() }),
                Found::Join(flight) => {
                    self.metrics.joined.inc();
                    flight
                }
                Found::Fill(ticket, sender, flight) => {
                    self.metrics.filled.inc();
                    flight::depart(self, lanes.generation, lane, ticket, sender);
                    flight
                }
            };
            match landed(flight).await? {
                Ended::Served(served) => return Ok(served),
                Ended::Again => {}
                Ended::WaitsFor(sequence) => waits_for = (name, sequence),
            }
            beginnings += 1;
        }
        Err(store_unavailable(true))
    }

    /// The same for a reader who demands no position, where nothing is waited for and no store is asked: from the cache, at
    /// once. `None`: it is to be asked for the other way.
    pub(crate) fn cached(&self, key: &EntryKey<Representation>) -> Option<Served> {
        self.note_incarnation();
        let service = self.service.read().unwrap_or_else(PoisonError::into_inner);
        let Service::Lanes(lanes) = &*service else { return None };
        let lane = lanes.of(&key.account);
        let (answer, stamp) = if lane.was_heard() { lane.read_cached(key)? } else { return None };
        self.metrics.cached.inc();
        Some(Served { answer, stamp })
    }

    /// A page of accounts: every lane that the position covers is waited for.
    pub(crate) async fn accounts(&self, page: &AccountsPage, wants: &Wants) -> Result<Listed, Problem> {
        let _place = self.waiting.try_take(&page.tenant, 1).ok_or_else(overloaded)?;
        for _ in 0..MAX_NEW_BEGINNINGS {
            let lanes = self.lanes_for(wants).await?;
            let demand = demand(wants, &lanes)?;
            none_is_refused(&lanes)?;
            if !self.reach(&lanes, &demand, wants).await? {
                continue;
            }
            none_is_refused(&lanes)?;
            let stamps: Vec<_> = lanes.iter().map(|lane| (lane.partition, lane.stamp())).collect();
            let incarnation = self.incarnation.load(Ordering::Acquire);
            let Some(_permit) = self.permit(&page.tenant).await else { return Err(overloaded()) };
            let json = read::accounts(self.store(), lanes.log.name(), page).await;
            let json = json.map_err(|error| store_unavailable(self.note_failure(&error)))?;
            self.note_incarnation();
            if lanes.are_retired() {
                continue;
            }
            if self.incarnation.load(Ordering::Acquire) == incarnation && covers(&demand, &stamps) {
                return Ok(Listed::new(&lanes, &stamps, json));
            }
        }
        Err(store_unavailable(true))
    }

    /// Waits for the first word of the lane's worker: what is stored may be of another log, and the worker tells. Where it
    /// has nothing to say for long, because it or NATS is away, reading goes on without it.
    async fn meet(&self, lanes: &Lanes, lane: &Lane, wants: &Wants) -> Result<(), Problem> {
        while !lane.was_heard() && Instant::now() < lanes.first_word_until {
            if Instant::now() >= wants.deadline {
                return Err(nobody_heard());
            }
            self.metrics.waits.inc();
            tokio::select! {
                () = lane.first_word() => {}
                () = sleep_until(wants.deadline.min(lanes.first_word_until)) => {}
                () = self.shutdown.begun() => return Err(shutting_down()),
            }
        }
        Ok(())
    }

    /// Waits until every lane is where it is demanded to be, or is refused; `false` when others have taken their place meanwhile.
    async fn reach(&self, lanes: &Lanes, demand: &Demand, wants: &Wants) -> Result<bool, Problem> {
        for lane in lanes.iter() {
            let minimum = demand.of_lane(lane.partition);
            self.meet(lanes, lane, wants).await?;
            self.freshen(lanes, lane).await?;
            while lane.stamp().position < minimum && !lane.is_refused() {
                if lane.is_retired() {
                    return Ok(false);
                }
                self.wait(lane, minimum, wants).await?;
                self.freshen(lanes, lane).await?;
            }
        }
        Ok(true)
    }

    /// Where no notices come, progress is read from the store for each reader: nothing else would tell it.
    async fn freshen(&self, lanes: &Lanes, lane: &Lane) -> Result<(), Problem> {
        self.note_incarnation();
        if lane.hears_notices() {
            return Ok(());
        }
        self.metrics.bypassed.inc();
        self.read_progress(lanes, lane).await.map_err(|error| store_unavailable(self.note_failure(&error)))
    }

    /// Reads how far the lane is applied; again when the lane went back meanwhile, for then the answer says nothing.
    ///
    /// # Errors
    /// The store does not answer, or the lane was filled from another log than `lanes` are of.
    pub(crate) async fn read_progress(&self, lanes: &Lanes, lane: &Lane) -> Result<(), StoreError> {
        for _ in 0..MAX_NEW_BEGINNINGS {
            let ticket = lane.begin_progress_read();
            let state = self.store.partition_state(lane.partition).await?;
            if let Some(stray) = state.progress.as_ref().filter(|progress| progress.identity != lanes.log) {
                self.strayed.send_replace(Some(stray.identity.clone()));
                return Err(StoreError::new(StoreErrorKind::Unavailable, "progress of another log was read"));
            }
            let effect = lane.finish_progress_read(ticket, state.progress.as_ref());
            if effect.went_back {
                let partition = lane.partition;
                tracing::warn!(partition, "the store holds less than before: all answers are read anew");
            }
            if !effect.outdated {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the lane has moved, or until the reader's patience ends: then a refusal.
    async fn wait(&self, lane: &Lane, minimum: u64, wants: &Wants) -> Result<(), Problem> {
        if Instant::now() >= wants.deadline {
            self.metrics.given_up.inc();
            return Err(not_yet_applied(lane));
        }
        self.metrics.waits.inc();
        tokio::select! {
            () = lane.reached(minimum) => Ok(()),
            () = sleep_until(wants.deadline) => Ok(()),
            () = self.shutdown.begun() => Err(shutting_down()),
        }
    }
}

impl Listed {
    fn new(lanes: &Lanes, stamps: &[(u16, Stamp)], json: String) -> Self {
        let (log, generation) = (lanes.log.name(), lanes.generation);
        let etag = format!("W/\"{log}-{generation}-{}\"", Digest::of(json.as_bytes()));
        Self { json, stamp: RenderedStamp::of_lanes(log, stamps), etag }
    }
}

/// What spans all lanes is not answered while one of them is refused.
fn none_is_refused(lanes: &Lanes) -> Result<(), Problem> {
    lanes.iter().find(|lane| lane.is_refused()).map_or(Ok(()), |lane| Err(refused(lane)))
}

/// Whether the stamps satisfy the demand: a lane may have gone back while another was waited for.
fn covers(demand: &Demand, stamps: &[(u16, Stamp)]) -> bool {
    stamps.iter().all(|(partition, stamp)| stamp.position >= demand.of_lane(*partition))
}

/// How a fill has ended that did not fail.
enum Ended {
    Served(Served),
    /// Begin anew.
    Again,
    /// Begin anew when this sequence is applied.
    WaitsFor(u64),
}

/// Waits for a fill to land.
async fn landed(mut flight: Flight) -> Result<Ended, Problem> {
    let landed = match flight.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone(),
        Err(_gone) => None,
    };
    match landed {
        Some(Landed::Answer(answer, stamp)) => Ok(Ended::Served(Served { answer, stamp })),
        Some(Landed::Unknown) => Err(Problem::new(kinds::UNKNOWN_ACCOUNT, "no launch has named this account")),
        Some(Landed::Again) => Ok(Ended::Again),
        Some(Landed::WaitsFor(sequence)) => Ok(Ended::WaitsFor(sequence)),
        Some(Landed::Failed(retry_helps)) => Err(store_unavailable(retry_helps)),
        None => Err(Problem::new(kinds::INTERNAL, "reading the store met a fault of the service")),
    }
}

fn demand(wants: &Wants, lanes: &Lanes) -> Result<Demand, Problem> {
    let Some(position) = &wants.position else { return Ok(Demand::nothing()) };
    Demand::at_least(position.clone(), lanes.log.name(), lanes.count()).map_err(|error| {
        let kind = match error {
            DemandError::OtherLog => kinds::POSITION_GONE,
            DemandError::UnknownPartition => kinds::POSITION_INVALID,
        };
        Problem::new(kind, error.to_string())
    })
}
