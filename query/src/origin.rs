//! Finds out which log there is and from which the store was filled, and lets readers be served
//! accordingly: drives [`protocol::query::Origin`] with both, from the start to the shutdown.

use std::time::Duration;

use nats::{Client, Log, LogError, STREAM_EPOCH};
use protocol::{
    log::LogIdentity,
    query::{Origin, Standing, StoreScan},
};
use retry::retry;
use store::StoreError;
use tokio::{sync::watch, time::Instant};

use crate::{
    lanes::{Lanes, Layout},
    upkeep::{Upkeep, backoff},
};

/// Between two questions to the stream's metadata; they change when an operator changes them.
const ASK_PERIOD: Duration = Duration::from_secs(1);
/// Between two looks at a store that was filled from another log: somebody may have emptied it.
const SCAN_PERIOD: Duration = Duration::from_secs(1);

/// What the stream has said last; `None` before it has.
pub(crate) type StreamSays = watch::Receiver<Option<LogIdentity>>;

/// Asks the stream which log it is, again and again until the shutdown.
pub(crate) async fn ask_stream(upkeep: &Upkeep, client: &Client, said: &watch::Sender<Option<LogIdentity>>) {
    let shutdown = &upkeep.shutdown;
    let mut complaint = None;
    loop {
        let asked = tokio::select! {
            asked = Log::open(client, STREAM_EPOCH) => asked,
            () = shutdown.begun() => return,
        };
        complaint = note(asked, said, complaint.as_ref());
        upkeep.reader.note_stream(complaint.clone());
        if !shutdown.sleep(ASK_PERIOD).await {
            return;
        }
    }
}

/// Passes on what the stream says. A stream that cannot be asked, or is damaged, keeps what it said
/// last; why is logged when it changes, and returned.
fn note(
    asked: Result<Log, LogError>,
    said: &watch::Sender<Option<LogIdentity>>,
    before: Option<&String>,
) -> Option<String> {
    match asked {
        Ok(log) => {
            let identity = Some(log.identity().clone());
            said.send_if_modified(|known| std::mem::replace(known, identity.clone()) != identity);
            None
        }
        Err(error) => {
            let complaint = error.to_string();
            if before != Some(&complaint) {
                tracing::warn!(why = complaint, "the stream does not say which log it is");
            }
            Some(complaint)
        }
    }
}

/// The state machine with what it is driven by.
pub(crate) struct Following<'a> {
    upkeep: &'a Upkeep,
    generation: u32,
    origin: Origin,
    shown: Standing,
    /// Why the store could not be scanned last.
    complaint: Option<String>,
}

impl<'a> Following<'a> {
    pub(crate) fn new(upkeep: &'a Upkeep, generation: u32) -> Self {
        Self { upkeep, generation, origin: Origin::default(), shown: Standing::default(), complaint: None }
    }

    /// Follows store and stream until the shutdown.
    pub(crate) async fn run(mut self, mut stream: StreamSays) {
        let shutdown = self.upkeep.shutdown.clone();
        let mut strays = self.upkeep.reader.strayed();
        let waits_until = Instant::now() + self.first_word();
        while !shutdown.is_begun() {
            self.take_in(&mut stream, &mut strays, waits_until);
            self.show().await;
            if self.origin.needs_scan() {
                self.scan().await;
                continue;
            }
            tokio::select! {
                Ok(()) = stream.changed() => {}
                Ok(()) = strays.changed() => {}
                () = tokio::time::sleep_until(waits_until), if Instant::now() < waits_until => {}
                () = tokio::time::sleep(SCAN_PERIOD), if !matches!(self.shown, Standing::Serves(_)) => self.scan().await,
                () = shutdown.begun() => return,
            }
        }
    }

    /// What has been said since the last time.
    fn take_in(&mut self, stream: &mut StreamSays, strays: &mut StreamSays, waits_until: Instant) {
        if let Some(identity) = stream.borrow_and_update().clone() {
            self.origin.stream_says(identity);
        }
        if let Some(stray) = strays.borrow_and_update().clone() {
            self.origin.store_says(&stray);
        }
        if Instant::now() >= waits_until {
            self.origin.wait_is_over();
        }
    }

    fn first_word(&self) -> Duration {
        Duration::from_millis(self.upkeep.config.first_word_ms)
    }

    /// Reads from which log the store was filled, as often as it takes.
    async fn scan(&mut self) {
        self.upkeep.reader.forget_strays();
        let (mut delays, scan) = (backoff(), || self.scan_once());
        let scanned =
            retry("reading progress", &mut delays, &self.upkeep.shutdown, StoreError::retry_helps, scan).await;
        match scanned {
            Ok(scan) => {
                self.complaint = None;
                self.origin.store_scanned(scan);
            }
            Err(error) => {
                self.complain(error.to_string());
                self.upkeep.shutdown.sleep(SCAN_PERIOD).await;
            }
        }
    }

    /// Says once why the store cannot be scanned.
    fn complain(&mut self, why: String) {
        if self.complaint.as_ref() != Some(&why) {
            tracing::warn!(why, "it cannot be read from which log the store was filled");
            self.complaint = Some(why);
        }
    }

    async fn scan_once(&self) -> Result<StoreScan, StoreError> {
        let store = self.upkeep.reader.store();
        store::scan(|partition| store.partition_state(partition), |_, _| Ok(())).await
    }

    /// Lets readers be served as it stands, if that is news.
    async fn show(&mut self) {
        let standing = self.origin.standing();
        if standing == self.shown {
            return;
        }
        match &standing {
            Standing::Unknown => self.upkeep.reader.wait_to_know(),
            Standing::Serves(log) => self.lay_out(log).await,
            Standing::OtherLog(other) => {
                tracing::error!("{other}");
                self.upkeep.reader.withhold(other.to_string());
            }
        }
        self.shown = standing;
    }

    /// Puts the lanes of this log in place. Where NATS has had its time, nobody is waited for any
    /// more.
    async fn lay_out(&self, log: &LogIdentity) {
        let wait = if self.origin.is_confirmed() { self.first_word() } else { Duration::ZERO };
        let layout = Layout {
            generation: self.generation,
            log: log.clone(),
            first_word_until: Instant::now() + wait,
            cache_bytes: self.upkeep.config.cache_bytes,
            commits_are_whole: self.upkeep.reader.store().commits_atomically(),
        };
        let lanes = self.upkeep.reader.replace_lanes(Lanes::new(layout, self.upkeep.clock));
        tracing::info!(%log, confirmed = self.origin.is_confirmed(), "lanes are laid out");
        self.upkeep.read_all_progress(&lanes).await;
    }
}
