//! A seeded simulation of everything around the worker's core and the query's cache.
//!
//! One seed is one history: a log that several ingests append to, a store that crashes and forgets, two or three workers a
//! lane that crash, sleep and wake late, and readers at the far end. It is compared with a naive fold of the log all along:
//!
//! | whenever | must hold |
//! |---|---|
//! | a row lands in the store | it is the fold of the log up to its stamp |
//! | two rows with one stamp land | they are equal |
//! | progress lands | every bad line up to there is parked |
//! | a checkpoint lands | a crash of every node at once would leave everything up to there |
//! | a worker that knows the store's state notifies | everything up to there is stored, every account touched is listed |
//! | a reader is answered | the answer holds every entry up to the position that it claims, and not less than demanded; days, openings, lifetimes and pages are what one prefix of the log comes to |
//! | a list was read to its end, page by page | it has every launch up to its first position once, in order |
//! | a reader is told that an answer is complete | nothing was known to wait in the log |
//! | a day's row is damaged in the store | its account is stopped before anything wrong is written, the others go on |
//! | the log has lost what the store was filled from | no worker goes on |
//! | all faults have ended | every lane comes to its end, with exactly the rows of the fold, and every query knows it |
//!
//! The fold and everything else that these are compared with is code of its own (`oracle.rs`). What is read is read by the very
//! algorithms of the real stores ([`crate::store_reading`]), request by request, with buckets, chunks and pages of a few launches.
//! Each request of a reader may meet a replica that has forgotten rows, one that has not, or one of which only the static columns
//! were repaired.
//!
//! Readers are not looked at from the moment at which a node of a store that commits step by step forgets rows until every
//! worker of the lane has heard of it and the query has heard of one that knows: until then claims may be wrong, and the
//! protocol promises nothing (see `readers/belief.rs`).
//!
//! Each rule can be left out ([`Switches`]); the tests show that histories go wrong then.

mod driver;
pub mod ingest;
mod judge;
mod log;
mod oracle;
pub mod origin;
mod readers;
pub mod store;
mod tables;
#[cfg(test)]
mod tests;
mod world;

use readers::ReaderRules;
use tables::StoreRules;
use world::World;

use crate::{query::QueryRules, worker::config::Rules};

/// Rules that are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Switches {
    pub(crate) worker: Rules,
    pub(crate) store: StoreRules,
    pub(crate) driver: DriverRules,
    pub(crate) query: QueryRules,
    pub(crate) reader: ReaderRules,
}

/// Rules that a worker's surroundings keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverRules {
    /// A worker that hears of a lost store starts anew.
    pub(crate) store_loss_is_a_crash: bool,
    /// A commit becomes safe only by an answer of the store's nodes that they are as they were.
    pub(crate) asks_the_nodes: bool,
    /// What is stored is read again when the reader is recreated.
    pub(crate) asks_store_again: bool,
    /// A worker says where it stands when it starts.
    pub(crate) announces_itself: bool,
    /// It knows the lane's end before it says anything.
    pub(crate) knows_end_first: bool,
    /// It says where it stands again and again.
    pub(crate) heartbeats: bool,
    /// A worker that refuses says so.
    pub(crate) refusals_are_told: bool,
    /// What was not acknowledged is sent again.
    pub(crate) sends_again: bool,
}

impl Default for DriverRules {
    fn default() -> Self {
        Self {
            store_loss_is_a_crash: true,
            asks_the_nodes: true,
            asks_store_again: true,
            announces_itself: true,
            knows_end_first: true,
            heartbeats: true,
            refusals_are_told: true,
            sends_again: true,
        }
    }
}

/// What must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// Runs one history with all rules.
///
/// # Errors
/// Something happened that must never happen; the same seed shows it again.
pub fn run(seed: u64) -> Result<(), Violation> {
    World::new(seed, Switches::default(), false).run()
}

/// Runs one history and tells it.
pub fn tell(seed: u64) -> (Vec<String>, Result<(), Violation>) {
    let mut world = World::new(seed, Switches::default(), true);
    let outcome = world.run();
    (world.trace(), outcome)
}

/// Runs one history without some rule.
#[cfg(test)]
fn run_without(seed: u64, switches: Switches) -> Result<(), Violation> {
    World::new(seed, switches, false).run()
}
