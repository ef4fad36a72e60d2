//! What goes on behind the readers: learning generation and lanes from the store, hearing notices, asking after the
//! store's health.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nats::{Changes, Client, NatsError, NoticeEvent, Notices};
use protocol::{notice::Notice, worker::FOLD_VERSION};
use retry::{Backoff, RetryError, Shutdown, retry};
use store::StoreError;
use tokio::time::Instant;

use crate::{
    config::QueryConfig,
    lanes::{Clock, Lanes, Layout},
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
    /// The store was filled by other rules or from another log: nothing of it may be served.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        if let Some(generation) = self.generation().await?
            && self.lay_out(generation).await?
        {
            tokio::join!(self.hear(), self.watch_store());
        }
        Ok(())
    }

    /// The generation that readers see; `None` when the shutdown came first.
    async fn generation(&self) -> anyhow::Result<Option<u32>> {
        let open = || self.reader.store().open_generation(FOLD_VERSION);
        let record = retry("opening the store", &mut backoff(), &self.shutdown, StoreError::retry_helps, open).await;
        Ok(unless_shut_down(record).context("this store cannot be served")?.map(|record| record.generation))
    }

    /// Puts the lanes in place, as many as the store tells, or as configured while it is empty.
    async fn lay_out(&self, generation: u32) -> anyhow::Result<bool> {
        let attempt = || self.partitions_stored(self.config.partitions);
        let found = retry("reading progress", &mut backoff(), &self.shutdown, retry_helps, attempt).await;
        let Some(found) = unless_shut_down(found)? else { return Ok(false) };
        let layout = Layout {
            generation,
            epoch: self.config.epoch,
            partitions: found.unwrap_or(self.config.partitions),
            is_certain: found.is_some(),
            cache_bytes: self.config.cache_bytes,
        };
        let lanes = self.reader.replace_lanes(Lanes::new(layout, self.clock));
        self.read_all_progress(&lanes).await;
        tracing::info!(generation, partitions = layout.partitions, certain = layout.is_certain, "lanes are laid out");
        Ok(true)
    }

    /// How many lanes the log has of which the store was filled; `None` while none of the first `assumed` has progress.
    async fn partitions_stored(&self, assumed: u16) -> Result<Option<u16>, LayoutError> {
        for partition in 0..assumed {
            if let Some(count) = self.partitions_told_by(partition).await? {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// What the progress of one lane tells about the log.
    async fn partitions_told_by(&self, partition: u16) -> Result<Option<u16>, LayoutError> {
        let state = self.reader.store().partition_state(partition).await?;
        let Some(progress) = state.progress else { return Ok(None) };
        let found = progress.identity.epoch;
        if found != self.config.epoch {
            return Err(LayoutError::OtherEpoch { found, wanted: self.config.epoch });
        }
        Ok(Some(progress.identity.partitions))
    }

    /// Hears notices until the shutdown, over whatever connections that takes.
    async fn hear(&self) {
        while !self.shutdown.is_begun() {
            let subscribe = || self.subscribe();
            let subscribed = retry("subscribing to notices", &mut backoff(), &self.shutdown, |_| true, subscribe).await;
            let Ok(mut notices) = subscribed else { return };
            self.catch_up().await;
            self.hear_until_closed(&mut notices).await;
        }
    }

    async fn subscribe(&self) -> Result<Notices, NatsError> {
        let client = Client::connect(&self.config.nats).await?;
        Changes::new(client, self.config.epoch).subscribe().await
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
        let Some(lanes) = self.lanes_for(notice).await else { return };
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
            self.try_read_progress(lane).await;
        }
    }

    /// The lanes, laid out anew if they were only assumed and this notice speaks of progress that can tell.
    async fn lanes_for(&self, notice: &Notice) -> Option<Arc<Lanes>> {
        let lanes = self.reader.lanes()?;
        let ours = notice.generation == lanes.generation && notice.epoch == lanes.epoch;
        if lanes.is_certain || !ours || notice.to == 0 {
            return Some(lanes);
        }
        match self.partitions_told_by(notice.partition).await {
            Ok(Some(partitions)) => Some(self.lay_out_anew(&lanes, partitions).await),
            Ok(None) => Some(lanes),
            Err(error) => {
                tracing::warn!(recurs = tracing::field::Empty, %error, partition = notice.partition, "progress could not be read");
                Some(lanes)
            }
        }
    }

    async fn lay_out_anew(&self, before: &Lanes, partitions: u16) -> Arc<Lanes> {
        let Lanes { generation, epoch, .. } = *before;
        let layout = Layout { generation, epoch, partitions, is_certain: true, cache_bytes: self.config.cache_bytes };
        let lanes = self.reader.replace_lanes(Lanes::new(layout, self.clock));
        tracing::info!(partitions, "the store has told how many lanes there are");
        self.read_all_progress(&lanes).await;
        lanes
    }

    async fn read_all_progress(&self, lanes: &Lanes) {
        for lane in lanes.iter() {
            self.try_read_progress(lane).await;
        }
    }

    /// A failure is no harm: the lane is behind until a notice or a reader's own progress read tells more.
    async fn try_read_progress(&self, lane: &crate::lanes::Lane) {
        if let Err(error) = self.reader.read_progress(lane).await {
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

/// Why the lanes cannot be laid out.
#[derive(Debug, thiserror::Error)]
enum LayoutError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the store was filled from a log of epoch {found}, and the configured epoch is {wanted}: \
         set the epoch to {found}, or begin with an empty store"
    )]
    OtherEpoch { found: u8, wanted: u8 },
}

fn retry_helps(error: &LayoutError) -> bool {
    matches!(error, LayoutError::Store(error) if error.retry_helps())
}

fn backoff() -> Backoff {
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
