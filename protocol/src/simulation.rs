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
//! | a reader is answered | the answer holds every entry up to the position that it claims |
//! | the log has lost what the store was filled from | no worker goes on |
//! | all faults have ended | every lane comes to its end, with exactly the rows of the fold |

//!
//! Readers are not looked at once a node of a store that commits step by step has forgotten rows, because what a worker says
//! that has not heard of it yet is wrong; nor once the log has lost its end. The query's own models cover replays.
//!
//! Each rule can be left out ([`Switches`]); the tests show that histories go wrong then.

mod driver;
mod log;
mod readers;
pub mod store;
mod tables;
#[cfg(test)]
mod tests;
mod truth;
mod world;

use tables::StoreRules;
use world::World;

use crate::worker::config::Rules;

/// Rules that are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Switches {
    pub(crate) worker: Rules,
    pub(crate) store: StoreRules,
    pub(crate) driver: DriverRules,
}

/// Rules that a worker's surroundings keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverRules {
    /// A worker that hears of a lost store starts anew.
    pub(crate) store_loss_is_a_crash: bool,
}

impl Default for DriverRules {
    fn default() -> Self {
        Self { store_loss_is_a_crash: true }
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
