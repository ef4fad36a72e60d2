//! Requests to JetStream's API, and what its errors mean.

use std::time::Duration;

use async_nats::{Request, RequestErrorKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    client::Client,
    error::{NatsError, NatsErrorKind},
};

/// How long one request may take; JetStream answers in milliseconds, or is in trouble.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// JetStream's own numbers of the errors that are told apart here.
pub(crate) mod code {
    /// Account's or server's limits of storage.
    pub(crate) const ACCOUNT_RESOURCES: u64 = 10_002;
    pub(crate) const INSUFFICIENT_RESOURCES: u64 = 10_023;
    pub(crate) const STORAGE_RESOURCES: u64 = 10_047;
    /// The stream's store refused or failed: which of both stands in the description.
    pub(crate) const STORE_FAILED: u64 = 10_077;
    pub(crate) const CONSUMER_NOT_FOUND: u64 = 10_014;
    pub(crate) const NO_MESSAGE_FOUND: u64 = 10_037;
    pub(crate) const STREAM_NOT_FOUND: u64 = 10_059;
    pub(crate) const STREAM_NAME_IN_USE: u64 = 10_058;
    pub(crate) const SUBJECTS_OVERLAP: u64 = 10_065;
    pub(crate) const MAX_STREAM_BYTES: u64 = 10_122;
    /// Fewer servers have joined the cluster so far than the stream is to have copies.
    pub(crate) const NO_SUITABLE_PEERS: u64 = 10_005;
    /// The server is no member of a cluster, and never will be as it is configured.
    pub(crate) const REPLICAS_NOT_SUPPORTED: u64 = 10_074;
}

/// An error as JetStream answers it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ApiError {
    /// In the manner of HTTP.
    #[serde(default)]
    pub(crate) code: u16,
    #[serde(default, rename = "err_code")]
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) description: String,
}

impl ApiError {
    /// What the error means to a caller. A store failure that is no limit may heal (a disk's error, a lost quorum).
    pub(crate) fn kind(&self) -> NatsErrorKind {
        match self.number {
            code::STORE_FAILED if self.is_limit() => NatsErrorKind::Full,
            code::STORE_FAILED => NatsErrorKind::Unavailable,
            code::ACCOUNT_RESOURCES | code::INSUFFICIENT_RESOURCES | code::STORAGE_RESOURCES => NatsErrorKind::Full,
            code::MAX_STREAM_BYTES | code::REPLICAS_NOT_SUPPORTED => NatsErrorKind::Refused,
            code::NO_SUITABLE_PEERS => NatsErrorKind::Unavailable,
            code::CONSUMER_NOT_FOUND | code::NO_MESSAGE_FOUND | code::STREAM_NOT_FOUND => NatsErrorKind::NotFound,
            _ if self.code >= 500 => NatsErrorKind::Unavailable,
            _ => NatsErrorKind::Refused,
        }
    }

    /// Whether the subject already has as many messages as it may have.
    pub(crate) fn is_subject_full(&self) -> bool {
        self.number == code::STORE_FAILED && self.description.contains("per subject")
    }

    fn is_limit(&self) -> bool {
        self.description.contains("maximum") && self.description.contains("exceeded")
    }
}

impl From<ApiError> for NatsError {
    fn from(error: ApiError) -> Self {
        let kind = error.kind();
        Self::new(kind, format!("JetStream: {} (error {})", error.description, error.number))
    }
}

/// Why a request failed: on the way, or by JetStream's own answer.
#[derive(Clone, Debug)]
pub(crate) enum ApiFailure {
    Nats(NatsError),
    Api(ApiError),
}

impl ApiFailure {
    /// JetStream's number of the error, if it answered one.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Api(error) => Some(error.number),
            Self::Nats(_) => None,
        }
    }
}

impl From<ApiFailure> for NatsError {
    fn from(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Nats(error) => error,
            ApiFailure::Api(error) => error.into(),
        }
    }
}

/// Sends `$JS.API.<verb>` with a JSON body and reads the answer.
pub(crate) async fn request<T: DeserializeOwned>(
    client: &Client,
    verb: &str,
    body: &impl Serialize,
) -> Result<T, ApiFailure> {
    let payload = serde_json::to_vec(body).map_err(|error| ApiFailure::Nats(NatsError::refused(error)))?;
    let answer = ask(client, format!("$JS.API.{verb}"), payload, None).await.map_err(ApiFailure::Nats)?;
    decode(&answer)
}

/// Sends one request and waits for its one answer. Each request has an inbox of its own: the client library keeps a
/// request that was never answered for ever if it uses the shared one.
pub(crate) async fn ask(
    client: &Client,
    subject: String,
    payload: Vec<u8>,
    headers: Option<async_nats::HeaderMap>,
) -> Result<bytes::Bytes, NatsError> {
    if !client.is_connected() {
        return Err(NatsError::unavailable("not connected to NATS"));
    }
    let inbox = client.inner().new_inbox();
    let mut request = Request::new().payload(payload.into()).inbox(inbox).timeout(Some(REQUEST_TIMEOUT));
    if let Some(headers) = headers {
        request = request.headers(headers);
    }
    let answer = client.inner().send_request(subject, request).await.map_err(|error| request_error(&error))?;
    Ok(answer.payload)
}

/// Reads an answer of JetStream: an error, or a `T`.
pub(crate) fn decode<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ApiFailure> {
    #[derive(Deserialize)]
    struct Failed {
        error: Option<ApiError>,
    }
    let unreadable = |error| ApiFailure::Nats(NatsError::refused(format!("cannot read JetStream's answer: {error}")));
    let failed: Failed = serde_json::from_slice(answer).map_err(unreadable)?;
    match failed.error {
        Some(error) => Err(ApiFailure::Api(error)),
        None => serde_json::from_slice(answer).map_err(unreadable),
    }
}

fn request_error(error: &async_nats::RequestError) -> NatsError {
    match error.kind() {
        RequestErrorKind::TimedOut => NatsError::timeout("JetStream did not answer in time"),
        RequestErrorKind::NoResponders => NatsError::unavailable("JetStream is not there (no responders)"),
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => NatsError::refused(error),
        RequestErrorKind::Other => NatsError::unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(answer: &str) -> ApiError {
        match decode::<serde_json::Value>(answer.as_bytes()) {
            Err(ApiFailure::Api(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_and_a_broken_disk_are_told_apart() {
        let full = failed(r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#);
        assert_eq!(full.kind(), NatsErrorKind::Full);
        assert!(!full.is_subject_full());
        let there =
            failed(r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages per subject exceeded"}}"#);
        assert!(there.is_subject_full());
        let disk = failed(r#"{"error":{"code":503,"err_code":10077,"description":"input/output error"}}"#);
        assert_eq!(disk.kind(), NatsErrorKind::Unavailable);
    }

    #[test]
    fn unknown_errors_are_classed_by_their_code() {
        assert_eq!(failed(r#"{"error":{"code":400,"err_code":1}}"#).kind(), NatsErrorKind::Refused);
        assert_eq!(failed(r#"{"error":{"code":503,"err_code":2}}"#).kind(), NatsErrorKind::Unavailable);
    }
}
