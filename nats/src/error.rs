//! What can go wrong, by what a caller can do about it.

use std::fmt;

use protocol::high_water::WentBack;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsErrorKind {
    /// No connection, or no JetStream behind it at the moment.
    Unavailable,
    /// No answer in time; a request that changes something may have been carried out.
    Timeout,
    /// A limit of space is reached.
    Full,
    /// The stream or consumer does not exist.
    NotFound,
    /// The server will not do it, however often it is asked.
    Refused,
}

/// A failed request to NATS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NatsError {
    /// What it means.
    pub kind: NatsErrorKind,
    /// What happened, for a person.
    pub message: String,
}

impl NatsError {
    pub(crate) fn new(kind: NatsErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    pub(crate) fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(NatsErrorKind::Unavailable, message)
    }

    pub(crate) fn timeout(message: impl fmt::Display) -> Self {
        Self::new(NatsErrorKind::Timeout, message)
    }

    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(NatsErrorKind::Refused, message)
    }

    /// Whether another attempt may succeed without anybody changing anything in the request.
    pub fn retry_helps(&self) -> bool {
        self.kind != NatsErrorKind::Refused
    }
}

/// Why a stream cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log was made with another number of partitions, which is fixed for its life.
    #[error(
        "the log has {found} lanes, a number that is fixed for its life, and {wanted} are asked for: ask for {found}, or for none \
         (--partitions, SALDO_PARTITIONS); {wanted} lanes need a new log, into which everything is posted again"
    )]
    OtherPartitions {
        /// As configured.
        wanted: u16,
        /// As in the stream's metadata.
        found: u16,
    },
    /// The log was written by another version of the wire format.
    #[error(
        "the log has wire version {found} and this program speaks {}: run the program that belongs to it",
        crate::log::metadata::WIRE_VERSION
    )]
    OtherWireVersion {
        /// As in the stream's metadata.
        found: String,
    },
    /// The stream was not made by this program, or somebody changed what its promises rest on.
    #[error("{0}")]
    NotOurs(String),
    /// The log lost its end while it was used.
    #[error(
        "{0}: nothing is written into it any more; restore the log, or raise its epoch and start with an empty store, then start this \
         service again, and have what was lost posted again"
    )]
    WentBack(WentBack),
    /// There is no such stream.
    #[error("there is no stream {0}: run `saldo log apply`, which makes it")]
    Missing(String),
    /// The request failed.
    #[error(transparent)]
    Nats(#[from] NatsError),
}

impl LogError {
    /// Whether another attempt may succeed by itself. A missing stream may still be made by another service.
    pub fn retry_helps(&self) -> bool {
        match self {
            Self::Nats(error) => error.retry_helps(),
            Self::Missing(_) => true,
            Self::OtherPartitions { .. } | Self::OtherWireVersion { .. } | Self::NotOurs(_) | Self::WentBack(_) => {
                false
            }
        }
    }
}
