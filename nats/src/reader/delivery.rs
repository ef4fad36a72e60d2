//! What a consumer's inbox receives: messages of the lane, and remarks about the pulls.

use async_nats::{Message, StatusCode};
use protocol::log::LogMessage;

use crate::log::message::milliseconds;

/// What JetStream sends before the position in the address of an acknowledgement.
const ACK_PREFIX: &str = "$JS.ACK.";
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";
const PENDING_BYTES: &str = "Nats-Pending-Bytes";

/// One delivery, told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A message of the lane, with its number among the consumer's deliveries.
    Message { number: u64, bytes: usize, message: LogMessage },
    /// The server is there and has nothing.
    Heartbeat,
    /// A pull is over; so much of it was not used.
    PullEnded { messages: usize, bytes: usize },
    /// The consumer is gone, or delivers no more.
    Gone(String),
}

impl Delivery {
    pub(super) fn read(message: Message) -> Self {
        match message.status {
            None => Self::message(message),
            Some(StatusCode::IDLE_HEARTBEAT) => Self::Heartbeat,
            Some(status) => Self::remark(status, &message),
        }
    }

    fn message(message: Message) -> Self {
        let Some((sequence, number, time_ns)) = message.reply.as_deref().and_then(place) else {
            return Self::Gone("a message came without its place in the log".to_owned());
        };
        let bytes = message.length;
        let message = LogMessage { sequence, time_ms: milliseconds(i128::from(time_ns)), payload: message.payload };
        Self::Message { number, bytes, message }
    }

    fn remark(status: StatusCode, message: &Message) -> Self {
        let text = message.description.as_deref().unwrap_or_default().to_ascii_lowercase();
        let pull_ended = match status.as_u16() {
            404 | 408 => true,
            409 => ["batch completed", "maxbytes", "max_bytes", "exceeded"].iter().any(|part| text.contains(part)),
            _ => false,
        };
        if !pull_ended {
            return Self::Gone(format!("{status} {text}"));
        }
        let header = |name: &str| {
            let value = message.headers.as_ref().and_then(|headers| headers.get(name));
            value.and_then(|value| value.as_str().parse().ok()).unwrap_or(0)
        };
        Self::PullEnded { messages: header(PENDING_MESSAGES), bytes: header(PENDING_BYTES) }
    }
}

/// Stream sequence, number of the delivery and time in nanoseconds, from
/// `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<attempt>.<sequence>.<number>.<time>.<pending>[.<token>]`.
fn place(reply: &str) -> Option<(u64, u64, u64)> {
    let rest = reply.strip_prefix(ACK_PREFIX)?;
    let with_domain = rest.bytes().filter(|byte| *byte == b'.').count() > 6;
    let mut tokens = rest.split('.').skip(if with_domain { 5 } else { 3 });
    let mut number = || tokens.next()?.parse::<u64>().ok();
    Some((number()?, number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_in_both_forms() {
        let wanted = Some((700, 12, 1_700_000_000_000_000_000));
        assert_eq!(place("$JS.ACK.LAUNCHES.c1.1.700.12.1700000000000000000.5"), wanted);
        assert_eq!(place("$JS.ACK.hub.ACC.LAUNCHES.c1.1.700.12.1700000000000000000.5"), wanted);
        assert_eq!(place("$JS.ACK.hub.ACC.LAUNCHES.c1.1.700.12.1700000000000000000.5.tok"), wanted);
        assert_eq!(place("_INBOX.x"), None);
        assert_eq!(place("$JS.ACK.LAUNCHES.c1.1.x.12.17.5"), None);
    }

    fn remark(code: u16, text: &str) -> Delivery {
        Delivery::read(Message {
            subject: "inbox".into(),
            reply: None,
            payload: bytes::Bytes::new(),
            headers: None,
            status: StatusCode::from_u16(code).ok(),
            description: Some(text.to_owned()),
            length: 0,
        })
    }

    #[test]
    fn remarks_are_told_apart() {
        let ended = Delivery::PullEnded { messages: 0, bytes: 0 };
        assert_eq!(remark(100, "Idle Heartbeat"), Delivery::Heartbeat);
        assert_eq!(remark(408, "Request Timeout"), ended);
        assert_eq!(remark(409, "Message Size Exceeds MaxBytes"), ended);
        assert_eq!(remark(409, "Batch Completed"), ended);
        for gone in [remark(409, "Consumer Deleted"), remark(409, "Server Shutdown"), remark(503, "")] {
            assert!(matches!(gone, Delivery::Gone(_)), "{gone:?}");
        }
    }
}
