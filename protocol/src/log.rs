//! The log as the protocol sees it: identity, messages, what is known of a lane.

use std::fmt;

use bytes::Bytes;
use ledger::Digest;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Which log this is. Two logs with equal identities hold the same messages, or one is an older state of the other that
/// nobody has declared to be restored (`saldo log restored`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogIdentity {
    /// Counts repartitions and recreations; 1 to 200. Positions of different epochs do not compare.
    pub epoch: u8,
    /// Random text drawn with the stream and kept in its metadata: a recreated or restored stream has another one.
    pub stream_id: SmolStr,
    /// How many lanes; fixed when the stream is made.
    pub partitions: u16,
}

impl fmt::Display for LogIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, stream_id, partitions } = self;
        write!(formatter, "stream {stream_id} of epoch {epoch} with {partitions} partitions")
    }
}

impl LogIdentity {
    /// What positions, ETags and notices name the log by.
    pub fn name(&self) -> LogName {
        LogName { epoch: self.epoch, incarnation: Incarnation::of(&self.stream_id) }
    }
}

/// Epoch and incarnation of a log: what positions and ETags begin with. Those of another name mean nothing here.
///
/// Text form: `<epoch>.<incarnation>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogName {
    /// The log's epoch.
    pub epoch: u8,
    /// Which of the logs that had this epoch.
    pub incarnation: Incarnation,
}

impl fmt::Display for LogName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, incarnation } = self;
        write!(formatter, "{epoch}.{incarnation}")
    }
}

/// A short form of [`LogIdentity::stream_id`], which is drawn when a stream is made and again when it is restored: the
/// beginning of the id's digest, so that any text as id gives one that is safe in headers and URLs.
///
/// Text form: eight lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incarnation(u32);

impl Incarnation {
    /// Digits of the text form.
    pub const DIGITS: usize = 8;

    /// The incarnation of the log whose stream has this id.
    pub fn of(stream_id: &str) -> Self {
        let digest = Digest::of(stream_id.as_bytes()).0;
        let mut beginning = [0; 4];
        beginning.copy_from_slice(&digest[..4]);
        Self(u32::from_be_bytes(beginning))
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digits = Some(text).filter(|text| plain && text.len() == Self::DIGITS)?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.0)
    }
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
