//! When what a query is told can be believed.
//!
//! The protocol promises that no answer lacks what its position covers, but for one stretch: from the moment at which a node
//! of a store that commits step by step forgets rows until every worker of the lane has heard of it and the query has heard
//! of one that knows. A worker that does not know may claim what is not there, to readers and in the store: then until one
//! that knows is heard at or above that claim. Answers begun in that stretch are not looked at.
//!
//! Above its position an answer may have launches that make no prefix where the store has forgotten progress and head, too, and
//! the query has begun since: nothing is left then that says how far rows reach.

use super::{Moment, Query, Sent, Surroundings};
use crate::{
    commit::Progress,
    query::ProgressTicket,
    simulation::{
        Violation,
        store::{NODES, SimulatedStore},
    },
};

/// Whether answers are believed, and what the query should have heard.
#[derive(Debug, Default)]
pub(super) struct Belief {
    doubt: Option<Doubt>,
    /// The highest position that was announced to a subscriber, and whether the query may have missed one of them.
    announced: u64,
    has_missed: bool,
    /// The highest position that this instance has learned from notices or from the store.
    known: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Doubt {
    /// A worker that knows of the loss has started since.
    is_restarted: bool,
    /// Such a one was heard, or nothing that it said has vanished.
    has_heard: bool,
    has_missed: bool,
    /// Until the store holds again what its progress claims.
    until_true: bool,
    /// Until one that knows says that it has come so far: the highest progress that was claimed and not there.
    until_told: u64,
}

impl Belief {
    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    pub(super) fn announce(&mut self, to: u64) {
        self.announced = self.announced.max(to);
    }

    pub(super) fn note_known(&mut self, position: u64) {
        self.known = self.known.max(position);
    }

    pub(super) fn miss(&mut self) {
        self.has_missed = true;
        self.doubt.iter_mut().for_each(|doubt| doubt.has_missed = true);
    }

    pub(super) fn catch_up(&mut self) {
        self.has_missed = false;
    }

    /// The embedded store went back: what was announced is gone, and what is heard before progress was read says nothing.
    pub(super) fn forget(&mut self) {
        self.announced = 0;
        self.miss();
    }

    /// A notice was heard from one who knows the store, or not.
    pub(super) fn hear(&mut self, knows: bool, to: u64) {
        match &mut self.doubt {
            Some(doubt) => {
                doubt.has_heard = knows && to >= doubt.until_told;
                // What one says that does not know takes back what another said before.
                doubt.has_missed |= !knows;
            }
            None if !knows => self.doubt = Some(Doubt { is_restarted: true, has_missed: true, ..Doubt::default() }),
            None => {}
        }
    }

    /// Another instance has heard nothing; of a store that has forgotten rows it knows only what is stored.
    pub(super) fn of_another_instance(self, has_forgotten: bool) -> Self {
        let known = self.doubt.unwrap_or(Doubt { is_restarted: true, ..Doubt::default() });
        let doubt = has_forgotten.then_some(Doubt { has_heard: false, has_missed: true, ..known });
        Self { doubt, announced: self.announced, has_missed: false, known: 0 }
    }
}

impl Query {
    /// Whether nothing is left that says that rows above a position may be there in part: the store has forgotten how far rows
    /// reach, and this instance has never learned it.
    pub(super) fn nobody_knows(&self, position: u64, moment: &Moment<'_>) -> bool {
        position.max(self.belief.known) < moment.surroundings.lost_claim
    }

    /// Takes in what the store said of progress; whether that says nothing.
    pub(super) fn learn(&mut self, ticket: ProgressTicket, progress: Option<&Progress>) -> bool {
        self.belief.note_known(progress.map_or(0, |progress| progress.sequence));
        self.lane.finish_progress_read(ticket, progress).outdated
    }

    /// A node has forgotten rows.
    pub(crate) fn rows_forgotten(&mut self) {
        let Doubt { until_true, until_told, .. } = self.belief.doubt.unwrap_or_default();
        // Who is not subscribed cannot be told.
        let has_missed = !self.is_subscribed || until_true;
        self.belief.doubt = Some(Doubt { until_true, until_told, has_missed, ..Doubt::default() });
        self.doubt_fills();
    }

    /// Progress landed that claims what the store does not hold: its writer did not know.
    pub(crate) fn progress_lies(&mut self, claimed: u64) {
        let known = self.belief.doubt.unwrap_or(Doubt { is_restarted: true, ..Doubt::default() });
        let until_told = known.until_told.max(claimed);
        self.belief.doubt = Some(Doubt { until_true: true, until_told, has_heard: false, has_missed: true, ..known });
        self.doubt_fills();
    }

    /// A worker has started that knows what is stored.
    pub(crate) fn worker_started(&mut self) {
        self.belief.doubt.iter_mut().for_each(|doubt| doubt.is_restarted = true);
    }

    pub(super) fn doubt_fills(&mut self) {
        self.fills.iter_mut().for_each(|fill| fill.is_believed = false);
        self.lists.clear();
    }

    /// Ends the doubt where it has to end.
    pub(super) fn settle_belief(&mut self, moment: &Moment<'_>) {
        let Some(doubt) = self.belief.doubt else { return };
        let knows = |sent: &Sent| sent.generations == moment.store.generations();
        let inbox_is_empty = self.inboxes.values().all(std::collections::VecDeque::is_empty);
        let is_told = doubt.has_heard || (inbox_is_empty && !doubt.has_missed);
        let is_over = doubt.is_restarted
            && is_told
            && !moment.surroundings.has_unknowing
            && self.progress_reads.is_empty()
            && self.inboxes.values().flatten().all(knows)
            && (!doubt.until_true || progress_is_true(self.partition, moment));
        if is_over {
            self.belief.doubt = None;
        }
    }

    /// Whoever came now would be told of a position that the store holds, after it has forgotten rows, too.
    pub(super) fn check_claim(&self, moment: &Moment<'_>) -> Result<(), Violation> {
        let Surroundings { has_forgotten, is_doomed, .. } = moment.surroundings;
        if !has_forgotten || is_doomed || self.belief.is_doubted() {
            return Ok(());
        }
        let stamp = self.lane.stamp(moment.now_ms);
        let complete = holds_all(self.partition, stamp.position, moment);
        complete.map_err(|what| Violation(format!("a query claims {stamp:?}, and the store lacks of it: {what}")))?;
        self.check_cache(stamp, moment)
    }

    /// Whoever has heard all that was announced knows the highest position of it. (Where a commit is a whole and no
    /// account is stopped: elsewhere a replay may lower it.)
    pub(super) fn check_knowledge(&self, now_ms: u64) -> Result<(), Violation> {
        let Belief { announced, has_missed, .. } = self.belief;
        let hears_all = self.is_subscribed && !has_missed && self.progress_reads.is_empty();
        let has_heard_all = hears_all && self.inboxes.values().all(std::collections::VecDeque::is_empty);
        let position = self.lane.stamp(now_ms).position;
        if !self.is_atomic || !has_heard_all || position >= announced {
            return Ok(());
        }
        Err(Violation(format!("a query has heard all and is at {position}, announced was {announced}")))
    }
}

fn progress_is_true(partition: u16, moment: &Moment<'_>) -> bool {
    let progress = moment.store.partition_state(partition).progress.map_or(0, |progress| progress.sequence);
    holds_all(partition, progress, moment).is_ok()
}

/// Whether the store holds everything of a lane up to a sequence.
fn holds_all(partition: u16, upto: u64, moment: &Moment<'_>) -> Result<(), String> {
    let Moment { store, log, surroundings, .. } = moment;
    let truth = &log.truths[usize::from(partition)];
    truth.check_complete(store.current(), upto, surroundings.bucket_facts, surroundings.damaged)
}

/// Whether a notice's sender knows the store as it is.
pub(super) fn knows(generations: [u32; NODES], store: &SimulatedStore) -> bool {
    generations == store.generations()
}
