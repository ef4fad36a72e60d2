//! The log: one stream, made or checked at start.

pub(crate) mod checks;
pub(crate) mod message;
pub(crate) mod metadata;
pub(crate) mod stream;
mod writes;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::{
    high_water::{HighWater, WentBack},
    lane::MAX_PARTITIONS,
    log::{LogIdentity, LogMessage},
    missing::{AcceptedLoss, MAX_RANGES, Missing},
};
use serde_json::json;
use tracing::info;

use self::writes::Writes;
pub use self::{
    metadata::{Renamed, Renaming},
    writes::Unstored,
};
use crate::{
    api,
    client::Client,
    error::{LogError, NatsError, NatsErrorKind},
    reader::{LaneReader, ReaderSettings, audit},
    subjects,
};

/// The epoch that names the stream. What counts is the one in the stream's metadata, which an operator may raise.
pub const STREAM_EPOCH: u8 = 1;
/// An end below what is known is looked at so often before it is believed: a new leader may need a moment.
const END_LOOKS: usize = 3;
const END_PAUSE: Duration = Duration::from_millis(200);
/// Ranges of accepted losses: a stream's metadata have at most 128 KiB, and a range up to 42 bytes.
const MAX_ACCEPTED_RANGES: usize = 2_000;

/// How the log is made.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How many lanes; fixed when the stream is made.
    pub partitions: u16,
    /// Copies in a cluster; 1 on one machine.
    pub replicas: usize,
    /// Most bytes of the stream, -1 for no limit. A full log refuses, it never drops.
    pub max_bytes: i64,
    /// Which log: 1 to 200.
    pub epoch: u8,
}

/// How full the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogUsage {
    /// Bytes stored.
    pub bytes: u64,
    /// Most bytes, -1 for no limit.
    pub max_bytes: i64,
    /// Messages stored.
    pub messages: u64,
    /// Sequence of the first message.
    pub first_sequence: u64,
    /// Sequence of the last message; 0 when there was none.
    pub last_sequence: u64,
    /// Sequences between these two that have no message, as far as the server knows. Nothing may be deleted: each is damage.
    pub deleted: u64,
    /// Messages that an operator has accepted as lost.
    pub accepted_loss: u64,
    /// Copies that the cluster keeps.
    pub replicas: usize,
}

/// The log's stream, checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    client: Client,
    identity: LogIdentity,
    stream: String,
    writes: Arc<Writes>,
    high_water: Arc<HighWater>,
}

impl Log {
    /// Makes the stream, or checks the one that is there; adapts `max_bytes` and `replicas` when they differ. Safe when
    /// several do it at once: all get the same identity.
    ///
    /// # Errors
    /// [`LogError`]: each says what to do about it.
    pub async fn ensure(client: &Client, settings: &LogSettings) -> Result<Self, LogError> {
        check_settings(settings)?;
        let name = subjects::stream_name(settings.epoch);
        let config = stream::log_config(settings, &metadata::new_stream_id());
        let found = stream::make_or_find(client, &name, &config).await?;
        let log = Self::checked(client, name, &found)?;
        if log.identity.partitions != settings.partitions {
            return Err(LogError::OtherPartitions { wanted: settings.partitions, found: log.identity.partitions });
        }
        let adapted = stream::adapt(client, &log.stream, found, settings.max_bytes, settings.replicas).await;
        adapted.map_err(NatsError::from)?;
        info!(
            stream = log.stream,
            partitions = settings.partitions,
            max_bytes = settings.max_bytes,
            "the log is ready"
        );
        Ok(log)
    }

    /// Checks the stream of `epoch` without changing anything.
    ///
    /// # Errors
    /// [`LogError::Missing`] as long as nobody has made it; otherwise as [`Log::ensure`].
    pub async fn open(client: &Client, epoch: u8) -> Result<Self, LogError> {
        let name = subjects::stream_name(epoch);
        match stream::info(client, &name).await? {
            None => Err(LogError::Missing(name)),
            Some(found) => Self::checked(client, name, &found),
        }
    }

    /// Gives the log another name: what positions and ETags that were given out before name is gone, and every service that
    /// works with the log under its former name stops writing. Metadata that were lost are put back. Messages stay as they are.
    ///
    /// # Errors
    /// The stream is not Saldo's, or is not what the renaming needs; or the request failed: then it may have been renamed.
    pub async fn rename(client: &Client, epoch: u8, renaming: Renaming) -> Result<Renamed, LogError> {
        let name = subjects::stream_name(epoch);
        let found = stream::info(client, &name).await?.ok_or_else(|| LogError::Missing(name.clone()))?;
        let (config, renamed) = metadata::renamed(&name, &found.config, renaming)?;
        let updated = api::request(client, &format!("STREAM.UPDATE.{name}"), &config).await;
        let _info: stream::StreamInfo = updated.map_err(NatsError::from)?;
        Ok(renamed)
    }

    /// Reads the whole log and records in its metadata that exactly those messages are accepted as lost that are missing: all
    /// of them, also those accepted before. What is there, or is still to come, is not among them.
    ///
    /// # Errors
    /// The stream is not Saldo's, has more holes than its metadata hold, or cannot be read; or the request failed: then they
    /// may have been recorded.
    pub async fn accept_loss(client: &Client, epoch: u8) -> Result<Missing, LogError> {
        let name = subjects::stream_name(epoch);
        let found = stream::info(client, &name).await?.ok_or_else(|| LogError::Missing(name.clone()))?;
        let identity = stream::identity_of_damaged(&name, &found)?;
        let log = Self::of(client, name.clone(), identity, found.state.last_seq);
        let missing = audit::audit(&log, AcceptedLoss::default(), found.state.last_seq, MAX_ACCEPTED_RANGES).await?;
        let accepted = missing.accepted().ok_or_else(|| {
            let why =
                format!("messages are missing in more than {MAX_ACCEPTED_RANGES} places: restore a backup of the log");
            LogError::NotOurs(why)
        })?;
        // Reading the whole log takes a while, in which an operator may have changed what is written back.
        let now = stream::info(client, &name).await?.ok_or_else(|| LogError::Missing(name.clone()))?;
        if stream::identity_of_damaged(&name, &now)? != log.identity {
            let why = format!("the stream {name} was given another name while it was read: repeat the command");
            return Err(LogError::NotOurs(why));
        }
        let wanted = metadata::with_accepted_loss(&now.config, &accepted);
        if wanted != now.config {
            let updated = api::request(client, &format!("STREAM.UPDATE.{name}"), &wanted).await;
            let _info: stream::StreamInfo = updated.map_err(NatsError::from)?;
        }
        Ok(missing)
    }

    fn checked(client: &Client, stream: String, found: &stream::StreamInfo) -> Result<Self, LogError> {
        let identity = stream::identity_of(&stream, found)?;
        Ok(Self::of(client, stream, identity, found.state.last_seq))
    }

    fn of(client: &Client, stream: String, identity: LogIdentity, end: u64) -> Self {
        let high_water = Arc::new(HighWater::default());
        high_water.saw(end);
        Self { client: client.clone(), identity, stream, writes: Arc::default(), high_water }
    }

    /// Which log this is.
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// The stream's name.
    pub fn stream_name(&self) -> &str {
        &self.stream
    }

    /// Asks whether the stream is still the one of [`Log::identity`].
    ///
    /// # Errors
    /// [`LogError::NotOurs`] when it was recreated or changed; otherwise as [`Log::open`].
    pub async fn verify(&self) -> Result<(), LogError> {
        self.verified().await.map(|_| ())
    }

    async fn verified(&self) -> Result<stream::StreamInfo, LogError> {
        let info = stream::info(&self.client, &self.stream).await?;
        let info = info.ok_or_else(|| LogError::Missing(self.stream.clone()))?;
        let found = stream::identity_of(&self.stream, &info)?;
        if found == self.identity {
            return Ok(info);
        }
        Err(LogError::NotOurs(format!(
            "the log is {found}, and was {} when this program started: it was made anew or restored, or its epoch was raised; \
             stop all services and start them again with an empty store",
            self.identity
        )))
    }

    /// [`Log::verify`], and asks whether the log still reaches as far as it did when it was opened and as its publishers'
    /// messages were acknowledged since. Says how full it is. One request, unless the log seems to have lost its end.
    ///
    /// # Errors
    /// [`LogError::WentBack`] when it lost its end, from the moment when that was noticed, here or by a publisher, until it is opened
    /// anew; otherwise as [`Log::verify`].
    pub async fn verify_all(&self) -> Result<LogUsage, LogError> {
        let mut looks_left = END_LOOKS;
        loop {
            let known = self.high_water.known();
            let found = self.verified().await?;
            if let Some(went_back) = self.went_back() {
                return Err(LogError::WentBack(went_back));
            }
            let end = found.state.last_seq;
            looks_left -= 1;
            if end >= known || looks_left == 0 {
                self.high_water.ends_at(end, known).map_err(LogError::WentBack)?;
                return Ok(usage_of(&found));
            }
            tokio::time::sleep(END_PAUSE).await;
        }
    }

    /// Whether the log was found to have lost its end, since it was opened.
    pub fn went_back(&self) -> Option<WentBack> {
        self.high_water.went_back()
    }

    /// Waits until the connection to NATS is another than that of this number: see [`Log::connections`].
    pub async fn reconnected(&self, connection: u64) {
        let mut events = self.client.events();
        // Without a connection task there is no other connection any more.
        if events.wait_for(|events| events.connects != connection).await.is_err() {
            std::future::pending().await
        }
    }

    /// How full the log is.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn usage(&self) -> Result<LogUsage, NatsError> {
        let found = stream::info(&self.client, &self.stream).await?;
        let found = found.ok_or_else(|| {
            NatsError::new(NatsErrorKind::NotFound, format!("the stream {} is not there any more", self.stream))
        })?;
        Ok(usage_of(&found))
    }

    /// Reads the whole log, without payloads, and finds the messages that are gone: nothing may be deleted of it.
    ///
    /// # Errors
    /// When the server does not answer, or contradicts itself: try again later. `Refused` when the stream's metadata are not ours.
    pub async fn missing(&self) -> Result<Missing, NatsError> {
        let found = stream::info(&self.client, &self.stream).await?;
        let found = found.ok_or_else(|| NatsError::unavailable(format!("the stream {} is not there", self.stream)))?;
        let accepted = stream::accepted_loss(&found.config).map_err(NatsError::refused)?;
        audit::audit(self, accepted, found.state.last_seq, MAX_RANGES).await
    }

    /// How often the connection to NATS was made: another number means that the server may have another state of the log.
    pub fn connections(&self) -> u64 {
        self.client.connection_number()
    }

    /// The last message of a lane; `None` while it is empty. Answered by the stream's leader: never behind.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn lane_end(&self, partition: u16) -> Result<Option<LogMessage>, NatsError> {
        let last = json!({ "last_by_subj": subjects::lane_subject(partition) });
        message::get(&self.client, &self.stream, &last).await
    }

    /// The message at a sequence, of whatever lane; `None` when there is none. Answered by the stream's leader.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn message_at(&self, sequence: u64) -> Result<Option<LogMessage>, NatsError> {
        if sequence == 0 {
            return Ok(None);
        }
        message::get(&self.client, &self.stream, &json!({ "seq": sequence })).await
    }

    /// The first message from sequence `from` on that stands in no lane, with its subject: somebody published to `launches.in.…` with a
    /// wildcard in the subject, which nats-server takes, and does not transform.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn stray_from(&self, from: u64) -> Result<Option<(String, LogMessage)>, NatsError> {
        let which = json!({ "seq": from.max(1), "next_by_subj": subjects::STRAY_PATTERN });
        message::get_with_subject(&self.client, &self.stream, &which).await
    }

    /// A reader of a lane that hands out every message from sequence `from` on. Nothing is sent before its first `next`.
    pub fn reader(&self, partition: u16, from: u64, settings: ReaderSettings) -> LaneReader {
        LaneReader::new(self, partition, from, settings)
    }

    /// What the publishers of this log (and of its clones) have sent, on the connection that stands now, since the log last
    /// stored a message; `None` when nothing is owed.
    ///
    /// When this grows old while [`Log::verify`] succeeds, the server has to be restarted: it met an error of its disk.
    pub fn unstored(&self) -> Option<Unstored> {
        self.writes.unstored(self.client.connection_number(), Instant::now())
    }

    /// How many launches the log has stored for the publishers of this log (and of its clones), since it was opened.
    pub fn launches_stored(&self) -> u64 {
        self.writes.launches_stored()
    }

    /// A publisher has handed a message over.
    pub(crate) fn note_sent(&self) {
        self.writes.sent(self.client.connection_number(), Instant::now());
    }

    /// The log has answered a publisher's message.
    pub(crate) fn note_answered(&self) {
        self.writes.answered();
    }

    /// How far the log is known to reach.
    pub(crate) fn high_water(&self) -> &HighWater {
        &self.high_water
    }

    /// The log has stored a publisher's message of so many launches.
    pub(crate) fn note_stored(&self, launches: u32) {
        self.writes.stored(launches);
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

fn usage_of(found: &stream::StreamInfo) -> LogUsage {
    LogUsage {
        bytes: found.state.bytes,
        max_bytes: found.config["max_bytes"].as_i64().unwrap_or(-1),
        messages: found.state.messages,
        first_sequence: found.state.first_seq,
        last_sequence: found.state.last_seq,
        deleted: found.state.num_deleted,
        accepted_loss: stream::accepted_loss(&found.config).map_or(0, |accepted| accepted.messages()),
        replicas: stream::replicas_of(&found.config),
    }
}

fn check_settings(settings: &LogSettings) -> Result<(), LogError> {
    let in_bounds = (1..=MAX_PARTITIONS).contains(&settings.partitions) && (1..=200).contains(&settings.epoch);
    if in_bounds {
        return Ok(());
    }
    let what = format!("a log has 1 to {MAX_PARTITIONS} partitions and an epoch of 1 to 200");
    Err(NatsError::refused(what).into())
}
