//! The far end: a query instance with its cache, told by notices that come late or never, and readers who ask it.
//!
//! It does what the head of [`crate::query`] asks of a driver, one small step at a time.

mod answers;
mod asked;
mod belief;
mod fills;
mod judge;
mod lists;
mod moment;
mod rules;

use std::collections::{BTreeMap, VecDeque};

use rand::{RngExt, SeedableRng, rngs::StdRng};

pub(crate) use moment::{Moment, Surroundings};
pub(crate) use rules::ReaderRules;

use super::{
    Violation,
    log::pick,
    store::{NODES, SimulatedStore},
};
use crate::{
    commit::Progress,
    log::{Incarnation, LogName},
    notice::Notice,
    query::{HEARTBEAT_SILENCE_MS, LaneSettings, ProgressTicket, QueryLane, QueryRules},
};
use asked::{Asked, Key, Value};
use belief::{Belief, knows};
use fills::Fill;
use lists::Lists;

/// A notice under way.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) notice: Notice,
    /// Where the lane ended when its sender was last told. Not the time of it: two things happen in one millisecond.
    pub(crate) end_when_told: u64,
    /// The store's generations as its sender knows them.
    pub(crate) generations: [u32; NODES],
}

/// A progress read, and what it found, once it did.
type ProgressRead = (ProgressTicket, Option<Option<Progress>>);

/// One query instance's view of one lane.
#[derive(Debug)]
pub(crate) struct Query {
    partition: u16,
    query_rules: QueryRules,
    rules: ReaderRules,
    /// Reads of the store are of one moment.
    is_atomic: bool,
    lane: QueryLane<Asked, Value>,
    /// What each publisher sent, in its order. Nothing while there is no subscription.
    inboxes: BTreeMap<usize, VecDeque<Sent>>,
    is_subscribed: bool,
    /// Until then nothing that is sent arrives, and nobody says so.
    muted_until_ms: u64,
    progress_reads: Vec<ProgressRead>,
    fills: Vec<Fill>,
    /// Which replicas answer: drawn apart, so that histories stay what they are.
    replicas: StdRng,
    lists: Lists,
    /// Others often ask for the same.
    asked_last: Option<Key>,
    /// A reader that passes its last position on.
    last_position: u64,
    belief: Belief,
    /// When a notice was heard, and where the lane ended when its sender was told: those of the last [`HEARTBEAT_SILENCE_MS`].
    heard: VecDeque<(u64, u64)>,
    /// The last notice heard.
    last_heard: Option<Notice>,
}

impl Query {
    pub(crate) fn new(partition: u16, is_atomic: bool, query_rules: QueryRules, rules: ReaderRules, seed: u64) -> Self {
        let log = LogName { epoch: 1, incarnation: Incarnation::of(super::log::STREAM_ID) };
        // Few answers fit.
        let settings = LaneSettings { generation: 1, log, partition, cache_bytes: 2_000, commits_are_whole: is_atomic };
        let lane = QueryLane::with_rules(settings, query_rules);
        let progress_reads = vec![(lane.begin_progress_read(), None)];
        Self {
            partition,
            query_rules,
            rules,
            is_atomic,
            lane,
            inboxes: BTreeMap::new(),
            is_subscribed: true,
            muted_until_ms: 0,
            progress_reads,
            fills: Vec::new(),
            replicas: StdRng::seed_from_u64(seed),
            lists: Lists::default(),
            asked_last: None,
            last_position: 0,
            belief: Belief::default(),
            heard: VecDeque::new(),
            last_heard: None,
        }
    }

    /// The instance crashes, and another takes its place. Readers keep the positions that they were told.
    fn restart(&mut self, store: &SimulatedStore) {
        let Self { partition, is_atomic, query_rules, rules, last_position, .. } = *self;
        let seed = self.replicas.random();
        let has_forgotten = !is_atomic && store.generations() != [1; NODES];
        let belief = std::mem::take(&mut self.belief).of_another_instance(has_forgotten);
        *self = Self { belief, last_position, ..Self::new(partition, is_atomic, query_rules, rules, seed) };
    }

    /// The instance crashes, and another has asked the store for progress; what it was told is still on its way to it.
    pub(crate) fn restart_with_an_answer_under_way(&mut self, store: &SimulatedStore) {
        self.restart(store);
        let progress = store.partition_state(self.partition).progress;
        self.progress_reads.iter_mut().for_each(|(_, found)| *found = Some(progress.clone()));
    }

    /// A worker publishes.
    pub(crate) fn send(&mut self, publisher: usize, sent: Sent, now_ms: u64) {
        if is_ours(&sent.notice) {
            self.belief.announce(sent.notice.to);
        }
        if self.is_subscribed && now_ms < self.muted_until_ms {
            self.belief.miss();
        } else if self.is_subscribed {
            self.inboxes.entry(publisher).or_default().push_back(sent);
        }
    }

    /// What is sent until then vanishes.
    pub(crate) fn mute_until(&mut self, until_ms: u64) {
        self.muted_until_ms = until_ms;
    }

    /// The embedded store was reopened at an older state; what was said before has arrived before.
    pub(crate) fn store_lost(&mut self, now_ms: u64, store: &SimulatedStore) {
        for sent in std::mem::take(&mut self.inboxes).into_values().flatten() {
            self.hear(&sent, now_ms, store);
        }
        if self.rules.lost_store_empties_all {
            self.lane.on_store_lost();
        }
        self.last_position = 0;
        self.lists.clear();
        self.belief.forget();
        self.begin_progress_read();
    }

    /// Something happens at the far end. An answer, if there is one, is checked against the fold.
    pub(crate) fn happen(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        self.settle_belief(moment);
        self.check_claim(moment)?;
        let Moment { now_ms, store, surroundings, .. } = *moment;
        match rng.random_range(0..1_000) {
            0..430 => self.deliver(rng, now_ms, store),
            430..460 => self.lose_notices(rng),
            460..468 => self.disconnect(),
            468..474 => self.restart(store),
            474..570 => self.go_on_with_a_progress_read(rng, store),
            570..720 => return self.read(rng, moment),
            _ => return self.go_on_with_a_fill(rng, moment),
        }
        if surroundings.damaged.is_empty() { self.check_knowledge(now_ms) } else { Ok(()) }
    }

    /// A reader comes, or a fill goes on.
    pub(crate) fn serve(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        if rng.random_bool(0.3) { self.read(rng, moment) } else { self.go_on_with_a_fill(rng, moment) }
    }

    fn deliver(&mut self, rng: &mut StdRng, now_ms: u64, store: &SimulatedStore) {
        if !self.is_subscribed {
            if rng.random_bool(0.1) {
                self.subscribe();
            }
            return;
        }
        self.inboxes.retain(|_, inbox| !inbox.is_empty());
        let publishers: Vec<usize> = self.inboxes.keys().copied().collect();
        if publishers.is_empty() {
            return;
        }
        if let Some(sent) = self.inboxes.get_mut(pick(rng, &publishers)).and_then(VecDeque::pop_front) {
            self.hear(&sent, now_ms, store);
        }
    }

    fn hear(&mut self, sent: &Sent, now_ms: u64, store: &SimulatedStore) {
        let effect = self.lane.on_notice(&sent.notice, now_ms);
        if effect.may_have_gone_back && self.rules.behind_asks_the_store {
            self.begin_progress_read();
        }
        if !is_ours(&sent.notice) {
            return;
        }
        self.belief.note_known(sent.notice.to);
        let sender_knows = knows(sent.generations, store);
        self.belief.hear(sender_knows, sent.notice.to);
        if !sender_knows {
            self.doubt_fills();
        }
        self.last_heard = Some(sent.notice.clone());
        self.heard.push_back((now_ms, sent.end_when_told));
        self.heard.retain(|(heard_ms, _)| now_ms - heard_ms < HEARTBEAT_SILENCE_MS);
    }

    /// All that was sent arrives.
    pub(crate) fn deliver_all(&mut self, now_ms: u64, store: &SimulatedStore) {
        if !self.is_subscribed {
            self.subscribe();
        }
        for sent in std::mem::take(&mut self.inboxes).into_values().flatten() {
            self.hear(&sent, now_ms, store);
        }
        while let Some((ticket, found)) = self.progress_reads.pop() {
            let found = found.unwrap_or_else(|| store.partition_state(self.partition).progress);
            if self.learn(ticket, found.as_ref()) {
                self.begin_progress_read();
            }
        }
    }

    /// Nothing that is under way arrives, and nobody says so.
    pub(crate) fn lose_all(&mut self) {
        self.inboxes.clear();
        self.belief.miss();
    }

    /// Some vanish; often nobody says so.
    pub(crate) fn lose_notices(&mut self, rng: &mut StdRng) {
        for inbox in self.inboxes.values_mut() {
            let count = rng.random_range(0..=inbox.len());
            if inbox.drain(..count).count() > 0 {
                self.belief.miss();
            }
        }
        if self.is_subscribed && rng.random_bool(0.3) {
            self.catch_up();
        }
    }

    /// The connection breaks, and what was under way is gone.
    fn disconnect(&mut self) {
        self.inboxes.clear();
        self.belief.miss();
        self.is_subscribed = false;
        if !self.rules.subscribes_before_reading {
            self.catch_up();
        }
    }

    /// Notices come again; where a rule is left out progress was read before.
    fn subscribe(&mut self) {
        self.is_subscribed = true;
        if self.rules.subscribes_before_reading {
            self.catch_up();
        }
    }

    /// Notices may be missing.
    fn catch_up(&mut self) {
        self.lane.on_notices_lost();
        self.begin_progress_read();
        self.belief.catch_up();
    }

    fn begin_progress_read(&mut self) {
        self.progress_reads.push((self.lane.begin_progress_read(), None));
    }

    fn go_on_with_a_progress_read(&mut self, rng: &mut StdRng, store: &SimulatedStore) {
        if self.progress_reads.is_empty() {
            return;
        }
        let index = rng.random_range(0..self.progress_reads.len());
        let (ticket, found) = self.progress_reads.swap_remove(index);
        match found {
            None => {
                let found = store.partition_state(self.partition).progress;
                self.progress_reads.push((ticket, Some(found)));
            }
            Some(progress) => {
                if self.learn(ticket, progress.as_ref()) {
                    self.begin_progress_read();
                }
            }
        }
    }

    /// Whether whoever came now would be told that the answer is complete.
    #[cfg(test)]
    pub(crate) fn believes_complete(&self, now_ms: u64) -> bool {
        self.lane.stamp(now_ms).complete
    }

    /// Whether a notice was heard lately.
    fn is_told(&self, now_ms: u64) -> bool {
        self.heard.iter().any(|(heard_ms, _)| now_ms - heard_ms < HEARTBEAT_SILENCE_MS)
    }
}

/// Notices of other generations and epochs mean nothing.
fn is_ours(notice: &Notice) -> bool {
    (notice.generation, notice.epoch) == (1, 1)
}
