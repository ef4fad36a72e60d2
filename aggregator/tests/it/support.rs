//! A log, a store, an aggregator between them, and what must come out.

mod held_store;
mod launches;
mod model;
mod raw_nats;
mod watched_store;
mod world;

pub use held_store::HeldStore;
pub use launches::{Line, random_launch, random_messages};
pub use model::Model;
pub use raw_nats::RawNats;
pub use watched_store::{Fault, WatchedStore};
pub use world::{DEADLINE, PARTITIONS, Running, World};
