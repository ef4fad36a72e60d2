//! Reading the whole log to find messages that are gone.
//!
//! nats-server hands out what it can read and passes over what it cannot, without a word: a block with one wrong byte has one
//! message less for every reader. Only who looks at all sequences notices. Payloads stay on the server, which checks them when it
//! reads them.

use std::time::Duration;

use protocol::missing::{AcceptedLoss, Missing, SequenceCheck};
use serde_json::json;
use tokio::time::timeout;

use super::{ReaderSettings, consumer::Consumer, delivery::Delivery};
use crate::{
    error::NatsError,
    log::{Log, message},
};

/// Little is asked for at once: others read, too.
const SETTINGS: ReaderSettings = ReaderSettings { pull_bytes: 1024 * 1024, pull_messages: 4 * 1024, silence_ms: 1_500 };
/// A server that says nothing at all for so long is asked in another way.
const SILENCE: Duration = Duration::from_millis(SETTINGS.silence_ms);

/// Finds the sequences up to `end` that the log does not hand out and nobody has accepted as lost; names so many ranges of them.
pub(crate) async fn audit(
    log: &Log,
    accepted: AcceptedLoss,
    end: u64,
    most_ranges: usize,
) -> Result<Missing, NatsError> {
    let mut check = SequenceCheck::new(accepted).naming(most_ranges);
    while check.next() <= end {
        read(log, &mut check, end).await?;
        if check.next() > end {
            break;
        }
        // Nothing more came. It may have been slow, or its copy is behind: the stream's leader knows what follows.
        match next_message(log, check.next()).await? {
            Some(sequence) if sequence <= end => check.saw(sequence),
            _ => break,
        }
    }
    let missing = check.finish(end);
    confirm(log, &missing).await?;
    Ok(missing)
}

/// Reads from the next sequence until the end is reached or nothing more comes.
async fn read(log: &Log, check: &mut SequenceCheck, end: u64) -> Result<(), NatsError> {
    let mut consumer = Consumer::create_of_all(log.clone(), check.next(), SETTINGS).await?;
    let outcome = drain(&mut consumer, check, end).await;
    Consumer::remove(log.client(), log.stream_name(), consumer.name()).await;
    outcome
}

async fn drain(consumer: &mut Consumer, check: &mut SequenceCheck, end: u64) -> Result<(), NatsError> {
    let mut delivered = 0;
    while check.next() <= end {
        while consumer.is_short() {
            consumer.ask().await?;
        }
        match timeout(SILENCE, consumer.next()).await {
            Ok(Some(Delivery::Message { number, message, .. })) => {
                if number != delivered + 1 {
                    return Ok(()); // Lost on the way, not in the log.
                }
                delivered = number;
                check.saw(message.sequence);
            }
            Ok(Some(Delivery::PullEnded { .. })) => {}
            Ok(Some(Delivery::Heartbeat | Delivery::Gone(_))) | Err(_) => return Ok(()),
            Ok(None) => return Err(NatsError::unavailable("the connection to NATS is closed")),
        }
    }
    Ok(())
}

/// The sequence of the first message at or after `from` that the stream's leader can read.
async fn next_message(log: &Log, from: u64) -> Result<Option<u64>, NatsError> {
    let which = json!({ "seq": from, "next_by_subj": ">" });
    Ok(message::get(log.client(), log.stream_name(), &which).await?.map(|message| message.sequence))
}

/// What is said to be missing must not be there when it is asked for: a server may be short of something for a moment.
async fn confirm(log: &Log, missing: &Missing) -> Result<(), NatsError> {
    for range in missing.ranges() {
        for sequence in [*range.start(), *range.end()] {
            if log.message_at(sequence).await?.is_some() {
                return Err(NatsError::unavailable(format!("message {sequence} was passed over, and is there")));
            }
        }
    }
    Ok(())
}
