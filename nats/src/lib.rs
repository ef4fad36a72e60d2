//! The log's contract with NATS JetStream: stream, subjects, publisher lanes, ordered reader, parked stream, change
//! notices, leases.
//!
//! Promise: what is reported as published is on disk in the log exactly as it was given (where the server syncs before it
//! acknowledges), and what may be there is never reported as absent; a reader hands out every message of its lane in
//! order, without gaps and without repeats, or says that it began anew. No type of the client library is seen outside.

mod api;
mod changes;
mod client;
mod error;
mod leases;
mod log;
mod parked;
mod publisher;
mod reader;
pub mod subjects;

pub use changes::{Changes, NoticeEvent, Notices};
pub use client::{Client, ClientConfig};
pub use error::{LogError, NatsError, NatsErrorKind};
pub use leases::{FoundLease, LeaseSettings, Leases};
pub use log::{Log, LogSettings, LogUsage, Renamed, Renaming, STREAM_EPOCH, Unstored};
pub use parked::{ParkOutcome, Parked, ParkedSettings};
pub use publisher::{
    Batch, LaunchName, MessageId, PublishError, PublishErrorKind, Published, Publisher, PublisherConfig, Receipt,
};
pub use reader::{LaneReader, ReadEvent, ReaderSettings};
