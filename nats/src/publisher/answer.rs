//! What the log answers to a publish.

use async_nats::{Message, StatusCode};
use serde::Deserialize;

use crate::{api::ApiError, error::NatsErrorKind};

/// In a cluster: the same message is just being stored.
const DUPLICATE_IN_PROCESS: u64 = 10_158;

/// The outcome of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// On disk.
    Stored { sequence: u64, duplicate: bool },
    /// Certainly not stored by this attempt; JetStream is not there at the moment.
    NotThere,
    /// Certainly not stored by this attempt: no room.
    Full(String),
    /// Certainly not stored by this attempt, and never will be.
    Refused(String),
    /// Stored or not: try again.
    Unclear(String),
}

impl Answer {
    pub(super) fn read(message: &Message) -> Self {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::NotThere;
        }
        Self::parse(&message.payload)
    }

    /// Whether the log decided: it works, whatever it decided.
    pub(super) fn is_definite(&self) -> bool {
        matches!(self, Self::Stored { .. } | Self::Full(_) | Self::Refused(_))
    }

    fn parse(payload: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Json {
            error: Option<ApiError>,
            #[serde(default)]
            seq: u64,
            #[serde(default)]
            duplicate: bool,
        }
        match serde_json::from_slice(payload) {
            Ok(Json { error: Some(error), .. }) => Self::from_error(&error),
            Ok(Json { error: None, seq, duplicate }) if seq > 0 => Self::Stored { sequence: seq, duplicate },
            Ok(_) => Self::Unclear("the log answered without a sequence".to_owned()),
            Err(error) => Self::Unclear(format!("cannot read the log's answer: {error}")),
        }
    }

    fn from_error(error: &ApiError) -> Self {
        let text = format!("{} (error {})", error.description, error.number);
        match error.kind() {
            _ if error.number == DUPLICATE_IN_PROCESS => Self::Unclear(text),
            NatsErrorKind::Full => Self::Full(text),
            NatsErrorKind::Refused | NatsErrorKind::NotFound => Self::Refused(text),
            NatsErrorKind::Unavailable | NatsErrorKind::Timeout => Self::Unclear(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let stored = Answer::parse(br#"{"stream":"LAUNCHES","seq":7,"duplicate":true}"#);
        assert_eq!(stored, Answer::Stored { sequence: 7, duplicate: true });
        let full = Answer::parse(br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#);
        assert!(matches!(full, Answer::Full(_)));
        let disk = Answer::parse(br#"{"error":{"code":503,"err_code":10077,"description":"input/output error"}}"#);
        assert!(matches!(disk, Answer::Unclear(_)));
        let other =
            Answer::parse(br#"{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"}}"#);
        assert!(matches!(other, Answer::Refused(_)));
        let busy = Answer::parse(br#"{"error":{"code":409,"err_code":10158,"description":"in process"}}"#);
        assert!(matches!(busy, Answer::Unclear(_)));
        assert!(matches!(Answer::parse(b"{}"), Answer::Unclear(_)));
        assert!(matches!(Answer::parse(b"nonsense"), Answer::Unclear(_)));
    }
}
