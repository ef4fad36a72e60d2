//! Single messages of a stream, asked from its leader.
//!
//! JetStream's direct access would be a little cheaper, but any replica answers it, also one that lags: then a message that
//! exists would seem lost.

use async_nats::jetstream::{message::StreamMessage, stream::RawMessage};
use protocol::log::LogMessage;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{self, code},
    client::Client,
    error::NatsError,
};

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// Asks for one message by sequence or as the last of a subject.
pub(crate) async fn get(client: &Client, stream: &str, which: &Value) -> Result<Option<LogMessage>, NatsError> {
    Ok(get_with_subject(client, stream, which).await?.map(|(_, message)| message))
}

/// As [`get`], with the subject under which it is stored.
pub(crate) async fn get_with_subject(
    client: &Client,
    stream: &str,
    which: &Value,
) -> Result<Option<(String, LogMessage)>, NatsError> {
    #[derive(Deserialize)]
    struct Answer {
        message: RawMessage,
    }
    let answer = api::request::<Answer>(client, &format!("STREAM.MSG.GET.{stream}"), which).await;
    match answer {
        Ok(answer) => decode(answer.message).map(Some),
        Err(failure) if failure.number() == Some(code::NO_MESSAGE_FOUND) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

fn decode(raw: RawMessage) -> Result<(String, LogMessage), NatsError> {
    let message = StreamMessage::try_from(raw)
        .map_err(|error| NatsError::refused(format!("cannot read a message of the log: {error}")))?;
    let time_ms = milliseconds(message.time.unix_timestamp_nanos());
    let subject = message.subject.to_string();
    Ok((subject, LogMessage { sequence: message.sequence, time_ms, payload: message.payload }))
}

/// The log's time as everything else uses it; rounded down.
pub(crate) fn milliseconds(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds.div_euclid(NANOSECONDS_PER_MILLISECOND)).unwrap_or(i64::MAX)
}
