//! One message on its way to the log.

use async_nats::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use ledger::Digest;

use super::{
    MessageId, PublishError, PublishErrorKind, Published,
    queue::{Outcome, Pending},
};

/// Several batches, packed: the bytes that are sent, also again, and who waits for them.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) payload: Bytes,
    pub(super) headers: HeaderMap,
    /// Each with the line of its first entry.
    waiting: Vec<(u32, Outcome)>,
}

impl Message {
    /// Packs batches for `partition`; there is at least one.
    pub(super) fn pack(partition: u16, stream: &str, batches: Vec<Pending>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, message_id(partition, &batches));
        headers.insert(header::NATS_EXPECTED_STREAM, stream);
        let payload = payload(&batches);
        let mut line = 1_u32;
        let waiting = batches.into_iter().map(|pending| {
            let first_line = line;
            line = line.saturating_add(pending.batch.entries);
            (first_line, pending.outcome)
        });
        let waiting = waiting.collect();
        Self { payload, headers, waiting }
    }

    /// Tells everybody where the message stands.
    pub(super) fn published(self, sequence: u64, duplicate: bool) {
        for (first_line, outcome) in self.waiting {
            // Who does not wait any more need not know.
            drop(outcome.send(Ok(Published { sequence, first_line, duplicate })));
        }
    }

    /// Tells everybody that it failed.
    pub(super) fn failed(self, error: &PublishError) {
        for (_, outcome) in self.waiting {
            drop(outcome.send(Err(error.clone())));
        }
    }
}

/// Tells those whose batches never left the lane.
pub(super) fn not_sent(batches: Vec<Pending>, message: &str, retry_after_s: u64) {
    let error = PublishError { kind: PublishErrorKind::NotSent, message: message.to_owned(), retry_after_s };
    for pending in batches {
        drop(pending.outcome.send(Err(error.clone())));
    }
}

fn payload(batches: &[Pending]) -> Bytes {
    if let [only] = batches {
        return only.batch.lines.clone();
    }
    let length = batches.iter().map(|pending| pending.batch.lines.len()).sum();
    let mut payload = BytesMut::with_capacity(length);
    for pending in batches {
        payload.extend_from_slice(&pending.batch.lines);
    }
    payload.freeze()
}

/// By what JetStream recognises a repetition. It looks at nothing else, and not at the subject: so the id of a packed message
/// covers the lane and every entry's key and content.
fn message_id(partition: u16, batches: &[Pending]) -> String {
    if let [Pending { batch, .. }] = batches
        && let MessageId::Launch(id) = &batch.message_id
    {
        return id.clone();
    }
    let mut text = partition.to_string().into_bytes();
    for pending in batches {
        text.push(b'\n');
        match &pending.batch.message_id {
            MessageId::Launch(id) => text.extend_from_slice(id.as_bytes()),
            MessageId::Packed(digest) => text.extend_from_slice(&digest.0),
        }
    }
    Digest::of(&text).to_string()
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::Batch;

    fn launch(id: &str) -> Pending {
        let lines = Bytes::from(format!("{id}\n"));
        let batch = Batch { lines, entries: 1, message_id: MessageId::Launch(id.into()) };
        Pending { batch, outcome: oneshot::channel().0 }
    }

    fn id(partition: u16, ids: &[&str]) -> String {
        message_id(partition, &ids.iter().map(|id| launch(id)).collect::<Vec<_>>())
    }

    #[test]
    fn a_lone_launch_has_its_own_id() {
        assert_eq!(id(0, &["acme.store-1.2026-01-01.a.0f"]), "acme.store-1.2026-01-01.a.0f");
    }

    #[test]
    fn the_id_of_a_packed_message_covers_lane_entries_and_order() {
        let packed = id(0, &["a", "b"]);
        assert_eq!(packed, id(0, &["a", "b"]));
        for other in [id(1, &["a", "b"]), id(0, &["b", "a"]), id(0, &["a", "b", "c"]), id(0, &["ab"])] {
            assert_ne!(packed, other);
        }
    }

    #[test]
    fn everybody_learns_the_line_of_the_first_entry() {
        let (outcomes, mut receipts): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let batches = outcomes.into_iter().zip([2, 1, 4]).map(|(outcome, entries)| {
            let lines = Bytes::from("x\n".repeat(entries as usize));
            Pending { batch: Batch { lines, entries, message_id: MessageId::Packed(Digest::of(b"x")) }, outcome }
        });
        let message = Message::pack(0, "LAUNCHES", batches.collect());
        assert_eq!(message.payload.len(), 14);
        message.published(9, false);
        let lines: Vec<_> =
            receipts.iter_mut().map(|receipt| receipt.try_recv().unwrap().unwrap().first_line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }
}
