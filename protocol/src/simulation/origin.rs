//! A seeded simulation of which log a query instance answers for.
//!
//! One seed is one history: a log that is made anew, restored from an older copy or raised to another epoch, with as many
//! lanes as it likes, and that often does not answer; a store that is emptied, or holds what another log filled; workers that
//! fill it and do not know that the log has another name; and one query instance after the other, which starts before either
//! has an answer and whose readers bring the positions of every log that there ever was. The very code of
//! [`crate::query::Origin`], of [`crate::query::QueryLane`] and of [`crate::query::Demand`] decides; the driver around it does
//! what the service does, one small step at a time. What comes of it is compared with naive lists of what each log holds:
//!
//! | whenever | must hold |
//! |---|---|
//! | a reader is answered, from the cache or not | the answer is of the log that its position names, has every entry of that log up to the position claimed, and not less than demanded |
//! | a reader demands a position of another log than is served | it is refused |
//! | a reader demands a position of the log that is served | it is not refused as another's, nor as one of a lane that there is not |
//! | anything is answered | it is for the log that the stream named last, with the lanes that this log has; before it named any, only after the wait, and for the log that the store names |
//! | anything is answered | the last whole scan of a store that stood still has found nothing of another log; what it found empty is looked at again once the log has another name |
//! | all faults have ended | the query serves the log that there is, every lane to its end |
//!
//! A store is only emptied or replaced while no instance serves it: where the instance is stopped, or answers nothing because
//! the store is another log's. An answer at position 0 claims nothing, and may hold what another log's worker has begun to write
//! into a store that was empty. Workers of two logs with different numbers of lanes do not start beside each other on an empty
//! store: neither could know of the other.
//!
//! Each rule can be left out ([`OriginSwitches`]); the tests show that histories go wrong then.

mod driver;
mod follow;
mod judge;
mod logs;
mod readers;
mod store;
#[cfg(test)]
mod tests;
mod workers;
mod world;

use world::World;

use super::Violation;
use crate::query::{OriginRules, QueryRules};

/// Rules that are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OriginSwitches {
    pub(crate) origin: OriginRules,
    pub(crate) query: QueryRules,
    pub(crate) driver: DriverRules,
}

/// Rules of whoever drives the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverRules {
    /// Nobody is answered before it is known which log there is.
    pub(crate) unknown_answers_nothing: bool,
    /// There are as many lanes as the log has, not as many as a log usually has.
    pub(crate) lanes_are_the_logs: bool,
    /// Another log gets lanes of its own.
    pub(crate) another_log_gets_other_lanes: bool,
    /// A position is compared with the name of the log that is served.
    pub(crate) positions_name_their_log: bool,
    /// Progress of another log moves no lane, and is told to the machine.
    pub(crate) strays_are_told: bool,
    /// The stream is asked again and again.
    pub(crate) stream_is_asked_again: bool,
    /// A store that is not answered from is scanned again and again.
    pub(crate) withheld_store_is_scanned_again: bool,
    /// A worker of a lane without progress looks whether others are of a log with other lanes.
    pub(crate) workers_look_at_other_lanes: bool,
}

impl Default for DriverRules {
    fn default() -> Self {
        Self {
            unknown_answers_nothing: true,
            lanes_are_the_logs: true,
            another_log_gets_other_lanes: true,
            positions_name_their_log: true,
            strays_are_told: true,
            stream_is_asked_again: true,
            withheld_store_is_scanned_again: true,
            workers_look_at_other_lanes: true,
        }
    }
}

type Checked = Result<(), Violation>;

/// Runs one history with all rules.
///
/// # Errors
/// Something happened that must never happen; the same seed shows it again.
pub fn run(seed: u64) -> Result<(), Violation> {
    World::new(seed, OriginSwitches::default(), false).run()
}

/// Runs one history and tells it.
pub fn tell(seed: u64) -> (Vec<String>, Result<(), Violation>) {
    let mut world = World::new(seed, OriginSwitches::default(), true);
    let outcome = world.run();
    (world.trace(), outcome)
}

/// Runs one history without some rule.
#[cfg(test)]
fn run_without(seed: u64, switches: OriginSwitches) -> Result<(), Violation> {
    World::new(seed, switches, false).run()
}

fn violation<T>(what: String) -> Result<T, Violation> {
    Err(Violation(what))
}
