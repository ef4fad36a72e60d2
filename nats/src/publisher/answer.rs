//! What the log answers to a publish.

use async_nats::{Message, StatusCode};
use protocol::publishing::Answer;
use serde::Deserialize;

use crate::{api::ApiError, error::NatsErrorKind};

/// In a cluster: the same message is just being stored.
const DUPLICATE_IN_PROCESS: u64 = 10_158;

/// The outcome of one attempt, with what the log says about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    /// For a person; empty when the message is stored.
    pub(super) text: String,
}

impl Heard {
    pub(super) fn read(message: &Message) -> Self {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::new(Answer::NotThere, "JetStream is not there (no responders)");
        }
        Self::parse(&message.payload)
    }

    fn new(answer: Answer, text: impl Into<String>) -> Self {
        Self { answer, text: text.into() }
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
            Ok(Json { error: None, seq, duplicate }) if seq > 0 => {
                Self::new(Answer::Stored { sequence: seq, duplicate }, "")
            }
            Ok(_) => Self::new(Answer::Unclear, "the log answered without a sequence"),
            Err(error) => Self::new(Answer::Unclear, format!("cannot read the log's answer: {error}")),
        }
    }

    fn from_error(error: &ApiError) -> Self {
        let answer = match error.kind() {
            _ if error.number == DUPLICATE_IN_PROCESS => Answer::Unclear,
            NatsErrorKind::Full => Answer::Full,
            NatsErrorKind::Refused | NatsErrorKind::NotFound => Answer::Refused,
            NatsErrorKind::Unavailable | NatsErrorKind::Timeout => Answer::Unclear,
        };
        Self::new(answer, format!("{} (error {})", error.description, error.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let answer = |payload: &[u8]| Heard::parse(payload).answer;
        let stored = answer(br#"{"stream":"LAUNCHES","seq":7,"duplicate":true}"#);
        assert_eq!(stored, Answer::Stored { sequence: 7, duplicate: true });
        let full = answer(br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#);
        assert_eq!(full, Answer::Full);
        let disk = answer(br#"{"error":{"code":503,"err_code":10077,"description":"input/output error"}}"#);
        assert_eq!(disk, Answer::Unclear);
        let other =
            answer(br#"{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"}}"#);
        assert_eq!(other, Answer::Refused);
        let busy = answer(br#"{"error":{"code":409,"err_code":10158,"description":"in process"}}"#);
        assert_eq!(busy, Answer::Unclear);
        assert_eq!(answer(b"{}"), Answer::Unclear);
        assert_eq!(answer(b"nonsense"), Answer::Unclear);
    }
}
