//! The log as the protocol sees it: identity, messages, what is known of a lane.

use bytes::Bytes;
use ledger::Digest;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Which log this is. Two logs with equal identities hold the same messages, or one is an older state of the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogIdentity {
    /// Counts repartitions and recreations; 1 to 200. Positions of different epochs do not compare.
    pub epoch: u8,
    /// Random text made with the stream and kept in its metadata: a recreated stream has another one.
    pub stream_id: SmolStr,
    /// How many lanes; fixed when the stream is made.
    pub partitions: u16,
}

/// A message of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMessage {
    /// Stream sequence.
    pub sequence: u64,
    /// The log's own time of the message: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// NDJSON, or anything when published by hand.
    pub payload: Bytes,
}

impl LogMessage {
    /// Sequence and digest: what is remembered to recognise the log.
    ///
    /// The digest covers the log's time and the payload: equal payloads are common (empty messages, retries), and a log
    /// that lost its tail may well hold an equal one at the same sequence.
    pub fn mark(&self) -> LogMark {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.time_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&Digest::of(&self.payload).0);
        LogMark { sequence: self.sequence, digest: Digest::of(&bytes) }
    }
}

/// A message of the log, recognised by its digest. Sequence 0 means "before the first message".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// Stream sequence.
    pub sequence: u64,
    /// Digest of time and payload, see [`LogMessage::mark`]; zero for sequence 0.
    pub digest: Digest,
}
