//! A seeded simulation of everything around ingest's deduplication, the publisher and the readers of the log.
//!
//! One seed is one history: clients that post and repeat, with the same and with other content and through two processes,
//! which crash, stop and warm up from the log's end; a network that loses and delays; a broker that is away or full, forgets
//! message ids after its duplicate window, loses its end, or is made anew; and readers whose deliveries are lost, repeated
//! and shuffled, and whose consumers vanish. It is compared with a history of the log that is kept naively:
//!
//! | whenever | must hold |
//! |---|---|
//! | a post is answered 201 | exactly that launch stands, or stood until the log lost it, at the position |
//! | it is answered 200 or 409 | the same launch, or one of the same id with other content, stands there; what the log lost before the post came is told only where the process cannot see the loss: the log is no other, and not shorter than what it knew |
//! | a message is stored at a position that was told before it was made | nobody is told that it is this message's |
//! | a publish is said not to be sent | nothing of it is ever stored |
//! | a launch is claimed | the answer is the first place that the process knows of its id |
//! | an id came through one process only, which knows all of it | a 201 is for what counts |
//! | a process that started has read the log's end | it knows every launch that stood there when it started |
//! | a reader hands out a message | it is the next of its partition |
//! | a reader handed out what the log has lost | it hands out nothing more, and refuses |
//! | all faults have ended | every post has an answer, no claim is left, every launch is accepted or known, every reader is at the end |
//!
//! A process reads only a tail of the log at its start, by the reader's own machine, and not for ever. Of launches that are
//! older it knows nothing: what is posted again is recognised by the log's duplicate window, or comes to stand twice, which no
//! answer denies and the aggregator decides.
//!
//! Each rule can be left out ([`IngestSwitches`]); the tests show that histories go wrong then.

mod broker;
mod faults;
mod knowledge;
mod launch;
mod network;
mod posts;
mod process;
mod publisher;
mod readers;
#[cfg(test)]
mod tests;
mod warm;
mod world;

use world::World;

use super::Violation;
use crate::{deduplication::DeduplicationRules, publishing::PublishingRules, reading::ReadingRules};

/// Rules that are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IngestSwitches {
    pub(crate) deduplication: DeduplicationRules,
    pub(crate) publishing: PublishingRules,
    pub(crate) reading: ReadingRules,
    pub(crate) surroundings: SurroundingRules,
}

/// Rules that the surroundings of the machines keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SurroundingRules {
    /// The id of a message covers the content of its launches.
    pub(crate) message_id_covers_content: bool,
    /// The claims of a request that breaks off end.
    pub(crate) broken_off_claims_end: bool,
    /// Unknown outcomes are forgotten when their time is over.
    pub(crate) sweeps: bool,
    /// Nothing is answered from what was known of another log, or of one that lost its end.
    pub(crate) another_log_stops_posts: bool,
    /// What the log acknowledges is compared with how far it was known to reach.
    pub(crate) acknowledgements_are_compared: bool,
    /// So is its end.
    pub(crate) ends_are_compared: bool,
    /// Nothing is answered on a new connection before the log was looked at.
    pub(crate) looks_before_answering: bool,
    /// What is remembered is told only after a look at the log that began after it was asked for.
    pub(crate) looks_before_answering_from_memory: bool,
    /// Who reads checks, whenever the consumer is made anew, that the log holds what was handed out last.
    pub(crate) readers_check_the_log: bool,
    /// A process that starts reads the end of every lane.
    pub(crate) warms_every_lane: bool,
}

impl Default for SurroundingRules {
    fn default() -> Self {
        Self {
            message_id_covers_content: true,
            broken_off_claims_end: true,
            sweeps: true,
            another_log_stops_posts: true,
            acknowledgements_are_compared: true,
            ends_are_compared: true,
            looks_before_answering: true,
            looks_before_answering_from_memory: true,
            readers_check_the_log: true,
            warms_every_lane: true,
        }
    }
}

type Checked = Result<(), Violation>;

/// Runs one history of ingest, publisher and readers with all rules.
///
/// # Errors
/// Something happened that must never happen; the same seed shows it again.
pub fn run(seed: u64) -> Result<(), Violation> {
    World::new(seed, IngestSwitches::default(), false).run()
}

/// Runs one history and tells it.
pub fn tell(seed: u64) -> (Vec<String>, Result<(), Violation>) {
    let mut world = World::new(seed, IngestSwitches::default(), true);
    let outcome = world.run();
    (world.trace(), outcome)
}

/// Runs one history without some rule.
#[cfg(test)]
fn run_without(seed: u64, switches: IngestSwitches) -> Result<(), Violation> {
    World::new(seed, switches, false).run()
}

fn violation<T>(what: String) -> Result<T, Violation> {
    Err(Violation(what))
}
