//! What goes on behind the readers: learning the generation from the store, finding out which log there is, hearing notices,
//! asking after the store's health.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nats::{Client, NoticeEvent, Notices};
use protocol::{log::LogIdentity, notice::Notice, worker::FOLD_VERSION};
use retry::{Backoff, RetryError, Shutdown, retry};
use store::StoreError;
use tokio::{sync::watch, time::Instant};

use crate::{
    config::QueryConfig,
    lanes::{Clock, Lane, Lanes},
    origin::{Following, ask_stream},
    reader::Reader,
};

/// First and longest delay between attempts to reach store or NATS.
const RETRY_INITIAL_MS: u64 = 50;
const RETRY_MAX_MS: u64 = 2_000;
/// How often the store is asked whether it answers.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);
/// Notices that lie behind what is known are common with two workers on a lane; unless something was missed before one,
/// progress is read at most this often.
const BEHIND_PERIOD: Duration = Duration::from_secs(1);

/// What the store was heard to say last; `Err` with a sentence for a person.
#[derive(Clone)]
pub(crate) struct StoreHealth(Arc<Mutex<Result<(), String>>>);

impl StoreHealth {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Err("the store was not asked yet".to_owned()))))
    }

    pub(crate) fn get(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, health: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// The background half of a query instance.
pub(crate) struct Upkeep {
    pub(crate) config: QueryConfig,
    pub(crate) reader: Arc<Reader>,
    pub(crate) clock: Clock,
    pub(crate) health: StoreHealth,
    pub(crate) shutdown: Shutdown,
}

impl Upkeep {
    /// Runs until the shutdown.
    ///
    /// # Errors
    /// The store was filled by other rules: nothing of it may be served.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let Some(generation) = self.generation().await? else { return Ok(()) };
        let (said, stream) = watch::channel(None);
        let following = Following::new(self, generation);
        tokio::join!(following.run(stream), self.listen(&said), self.watch_store());
        Ok(())
    }

    /// The generation that readers see; `None` when the shutdown came first.
    async fn generation(&self) -> anyhow::Result<Option<u32>> {
        let open = || self.reader.store().open_generation(FOLD_VERSION);
        let record = retry("opening the store", &mut backoff(), &self.shutdown, StoreError::retry_helps, open).await;
        Ok(unless_shut_down(record).context("this store cannot be served")?.map(|record| record.generation))
    }

    /// Listens to NATS until the shutdown, over whatever connections that takes.
    async fn listen(&self, said: &watch::Sender<Option<LogIdentity>>) {
        while !self.shutdown.is_begun() {
            let connect = || Client::connect(&self.config.nats);
            let connected = retry("connecting to NATS", &mut backoff(), &self.shutdown, |_| true, connect).await;
            let Ok(client) = connected else { return };
            tokio::select! {
                () = self.hear(&client) => {}
                () = ask_stream(self, &client, said) => {}
            }
        }
    }

    /// Hears notices until the connection is given up.
    async fn hear(&self, client: &Client) {
        let subscribe = || Notices::of_every_epoch(client);
        let subscribed = retry("subscribing to notices", &mut backoff(), &self.shutdown, |_| true, subscribe).await;
        let Ok(mut notices) = subscribed else { return };
        self.catch_up().await;
        self.hear_until_closed(&mut notices).await;
    }

    async fn hear_until_closed(&self, notices: &mut Notices) {
        let mut last_behind = None;
        loop {
            let event = tokio::select! {
                () = self.shutdown.begun() => return,
                event = notices.next() => event,
            };
            match event {
                Some(NoticeEvent::Notice(notice)) => self.on_notice(&notice, &mut last_behind).await,
                Some(NoticeEvent::Lost) => self.catch_up().await,
                None => return,
            }
        }
    }

    /// Notices may be missing: what is cached is dropped, and the store tells how far it is.
    async fn catch_up(&self) {
        self.reader.metrics.losses.inc();
        if let Some(lanes) = self.reader.lanes() {
            lanes.on_notices_lost();
            self.read_all_progress(&lanes).await;
        }
    }

    async fn on_notice(&self, notice: &Notice, last_behind: &mut Option<Instant>) {
        let metrics = &self.reader.metrics;
        metrics.notices.inc();
        let Some(lanes) = self.reader.lanes() else { return };
        let Some(lane) = lanes.get(notice.partition) else {
            metrics.ignored_notices.inc();
            return;
        };
        self.reader.note_incarnation();
        let effect = lane.on_notice(notice);
        metrics.ignored_notices.inc_by(effect.ignored.into());
        metrics.gaps.inc_by(effect.gap.into());
        metrics.dropped.inc_by(u64::try_from(effect.dropped).unwrap_or(u64::MAX));
        let is_due = effect.gap || last_behind.is_none_or(|last| last.elapsed() >= BEHIND_PERIOD);
        if effect.may_have_gone_back && is_due {
            *last_behind = Some(Instant::now());
            self.try_read_progress(&lanes, lane).await;
        }
    }

    pub(crate) async fn read_all_progress(&self, lanes: &Lanes) {
        for lane in lanes.iter() {
            self.try_read_progress(lanes, lane).await;
        }
    }

    /// A failure is no harm: the lane is behind until a notice or a reader's own progress read tells more.
    async fn try_read_progress(&self, lanes: &Lanes, lane: &Lane) {
        if let Err(error) = self.reader.read_progress(lanes, lane).await {
            self.reader.note_failure(&error);
        }
    }

    /// Asks the store now and then, for `/health/ready`.
    async fn watch_store(&self) {
        loop {
            let health = self.reader.store().partition_state(0).await.map(drop).map_err(|error| error.to_string());
            self.health.set(health);
            if !self.shutdown.sleep(HEALTH_PERIOD).await {
                return;
            }
        }
    }
}

pub(crate) fn backoff() -> Backoff {
    Backoff::new(RETRY_INITIAL_MS, RETRY_MAX_MS)
}

fn unless_shut_down<T, E: std::error::Error + Send + Sync + 'static>(
    result: Result<T, RetryError<E>>,
) -> anyhow::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RetryError::ShutDown(_)) => Ok(None),
        Err(RetryError::Permanent(error)) => bail!(error),
    }
}
