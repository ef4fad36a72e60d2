//! One message on its way to the log.

use async_nats::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use protocol::publishing::message_id;

use super::{
    PublishError, PublishErrorKind, Published,
    queue::{Outcome, Pending},
    turns::LARGE_BYTES,
};

/// Buffers kept by a lane: as many as it has large messages on their way.
const MAX_SPARES: usize = 2;

/// Buffers of large messages that were stored, for the next ones: fresh memory of that size costs a page fault every 4 KiB.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<BytesMut>);

impl Spares {
    /// An empty buffer with room for so many bytes.
    fn buffer(&mut self, bytes: usize) -> BytesMut {
        let mut buffer = if bytes < LARGE_BYTES { BytesMut::new() } else { self.0.pop().unwrap_or_default() };
        buffer.reserve(bytes);
        buffer
    }

    /// Keeps a buffer, unless somebody else still reads it.
    fn keep(&mut self, payload: Bytes) {
        if payload.len() < LARGE_BYTES || self.0.len() >= MAX_SPARES {
            return;
        }
        if let Ok(mut buffer) = payload.try_into_mut() {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// Several batches, packed: the bytes that are sent, also again, and who waits for them.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) payload: Bytes,
    pub(super) headers: HeaderMap,
    /// Launches in it.
    pub(super) entries: u32,
    /// Each with the line of its first entry.
    waiting: Vec<(u32, Outcome)>,
}

impl Message {
    /// Packs batches for `partition`; there is at least one.
    pub(super) fn pack(partition: u16, stream: &str, batches: Vec<Pending>, spares: &mut Spares) -> Self {
        let mut headers = HeaderMap::new();
        let ids = batches.iter().map(|pending| &pending.batch.message_id);
        headers.insert(header::NATS_MESSAGE_ID, message_id(partition, ids));
        headers.insert(header::NATS_EXPECTED_STREAM, stream);
        let payload = payload(&batches, spares);
        let mut line = 1_u32;
        let waiting = batches.into_iter().map(|pending| {
            let first_line = line;
            line = line.saturating_add(pending.batch.entries);
            (first_line, pending.outcome)
        });
        let waiting = waiting.collect();
        Self { payload, headers, entries: line - 1, waiting }
    }

    /// Tells everybody where the message stands.
    pub(super) fn published(self, sequence: u64, duplicate: bool, spares: &mut Spares) {
        let Self { payload, waiting, .. } = self;
        // Before, so that who is told can use a batch's buffer again.
        spares.keep(payload);
        for (first_line, outcome) in waiting {
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

fn payload(batches: &[Pending], spares: &mut Spares) -> Bytes {
    if let [only] = batches {
        return only.batch.lines.clone();
    }
    let length = batches.iter().map(|pending| pending.batch.lines.len()).sum();
    let mut payload = spares.buffer(length);
    for pending in batches {
        payload.extend_from_slice(&pending.batch.lines);
    }
    payload.freeze()
}

#[cfg(test)]
mod tests {
    use ledger::{Digest, Tenant};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Batch, MessageId};

    fn tenant() -> Tenant {
        Tenant::parse("acme").unwrap()
    }

    #[test]
    fn the_buffer_of_a_large_message_is_used_again_when_nobody_reads_it() {
        let mut spares = Spares::default();
        let pack = |letter: char, spares: &mut Spares| {
            let lines = Bytes::from(format!("{}\n", letter.to_string().repeat(LARGE_BYTES / 2)));
            let message_id = || MessageId::Packed(Digest::of(b"x"));
            let batch = || Batch { tenant: tenant(), lines: lines.clone(), entries: 1, message_id: message_id() };
            let pending = || Pending { batch: batch(), outcome: oneshot::channel().0 };
            Message::pack(0, "LAUNCHES", vec![pending(), pending()], spares)
        };
        let first = pack('a', &mut spares);
        let place = first.payload.as_ptr();
        let read = first.payload.clone();
        first.published(1, false, &mut spares);
        let second = pack('b', &mut spares);
        assert!(second.payload.as_ptr() != place && read.iter().all(|byte| b"a\n".contains(byte)));
        let place = second.payload.as_ptr();
        second.published(2, false, &mut spares);
        let third = pack('c', &mut spares);
        assert!(third.payload.as_ptr() == place && third.payload.iter().all(|byte| b"c\n".contains(byte)));
    }

    #[test]
    fn everybody_learns_the_line_of_the_first_entry() {
        let (outcomes, mut receipts): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let batches = outcomes.into_iter().zip([2, 1, 4]).map(|(outcome, entries)| {
            let lines = Bytes::from("x\n".repeat(entries as usize));
            let message_id = MessageId::Packed(Digest::of(b"x"));
            Pending { batch: Batch { tenant: tenant(), lines, entries, message_id }, outcome }
        });
        let mut spares = Spares::default();
        let message = Message::pack(0, "LAUNCHES", batches.collect(), &mut spares);
        assert_eq!(message.payload.len(), 14);
        message.published(9, false, &mut spares);
        let lines: Vec<_> =
            receipts.iter_mut().map(|receipt| receipt.try_recv().unwrap().unwrap().first_line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }
}
