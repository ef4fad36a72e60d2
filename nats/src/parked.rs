//! The stream of parked messages: entries that cannot be applied, each kept once.

use protocol::parked::ParkedMessage;

use crate::{
    api::{self, ApiFailure},
    client::Client,
    error::{LogError, NatsError, NatsErrorKind},
    log::{checks, metadata, stream},
    subjects,
};

/// How the parked stream is made.
#[derive(Clone, Debug)]
pub struct ParkedSettings {
    /// Copies in a cluster; 1 on one machine.
    pub replicas: usize,
    /// Most bytes, -1 for no limit; a full one stops nobody.
    pub max_bytes: i64,
}

/// What became of a message that was to be parked. None of them stops a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkOutcome {
    /// It is on disk.
    Stored,
    /// An earlier attempt or another worker has parked it.
    AlreadyThere,
    /// No room; the log has the original.
    Full,
}

/// The parked stream, checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parked {
    client: Client,
}

impl Parked {
    /// Makes the stream, or checks the one that is there and adapts its limits.
    ///
    /// # Errors
    /// As [`crate::Log::ensure`].
    pub async fn ensure(client: &Client, settings: &ParkedSettings) -> Result<Self, LogError> {
        let name = subjects::PARKED_STREAM;
        let found = stream::make_or_find(client, name, &stream::parked_config(settings)).await?;
        check(&found)?;
        let adapted = stream::adapt(client, name, found, settings.max_bytes, settings.replicas).await;
        adapted.map_err(NatsError::from)?;
        Ok(Self { client: client.clone() })
    }

    /// Checks the stream that somebody has made, and changes nothing of it.
    ///
    /// # Errors
    /// As [`crate::Log::open`].
    pub async fn open(client: &Client) -> Result<Self, LogError> {
        let name = subjects::PARKED_STREAM;
        let found = stream::info(client, name).await?.ok_or_else(|| LogError::Missing(name.to_owned()))?;
        check(&found)?;
        Ok(Self { client: client.clone() })
    }

    /// Parks one message; doing it again changes nothing.
    ///
    /// # Errors
    /// When it is not known whether it is there: do it again. `Refused` when the server will never take it.
    pub async fn park(&self, message: &ParkedMessage) -> Result<ParkOutcome, NatsError> {
        let payload = serde_json::to_vec(message).map_err(NatsError::refused)?;
        let subject = subjects::parked_subject(message.epoch, message.partition, message.sequence);
        let headers = async_nats::HeaderMap::from_iter([(
            async_nats::header::NATS_EXPECTED_STREAM,
            async_nats::HeaderValue::from(subjects::PARKED_STREAM),
        )]);
        let answer = api::ask(&self.client, subject, payload, Some(headers)).await?;
        match api::decode::<serde_json::Value>(&answer) {
            Ok(_) => Ok(ParkOutcome::Stored),
            Err(ApiFailure::Api(error)) if error.is_subject_full() => Ok(ParkOutcome::AlreadyThere),
            Err(ApiFailure::Api(error)) if error.kind() == NatsErrorKind::Full => Ok(ParkOutcome::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    /// How many messages are parked.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn count(&self) -> Result<u64, NatsError> {
        let found = stream::info(&self.client, subjects::PARKED_STREAM).await?;
        Ok(found.map_or(0, |info| info.state.messages))
    }
}

/// Whether the stream keeps what this program parks: each message once, for ever.
fn check(found: &stream::StreamInfo) -> Result<(), LogError> {
    let name = subjects::PARKED_STREAM;
    checks::parked_settings(name, &found.config)?;
    if found.config["metadata"][stream::META_PARKED] == metadata::WIRE_VERSION {
        return Ok(());
    }
    Err(LogError::NotOurs(format!(
        "the stream {name} does not say in its metadata that it keeps parked messages: give Saldo a NATS, or an account \
         of it, of its own"
    )))
}
