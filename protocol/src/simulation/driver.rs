//! What a service does around a worker's core, one small step at a time, so that anything may happen in between.

use std::collections::VecDeque;

use rand::{RngExt, rngs::StdRng};

use super::store::{NODES, Put};
use crate::worker::Worker;

/// One worker with its surroundings.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    pub(crate) lane: u16,
    pub(crate) worker: Option<Worker>,
    /// Sleeps, without knowing, until then.
    pub(crate) asleep_until_ms: u64,
    /// The store's generations when the worker started.
    pub(crate) generations: [u32; NODES],
    /// An answer of the store's nodes that was not looked at yet.
    pub(crate) answer: Option<[u32; NODES]>,
    /// The reader has to be recreated.
    pub(crate) is_disconnected: bool,
    /// It refused: nobody starts it again.
    pub(crate) has_refused: bool,
    pub(crate) sending: Option<Sending>,
    /// Rows of a load whose journals are not read yet.
    pub(crate) loading: Option<crate::load::Loaded>,
    /// What was stored when it last looked.
    pub(crate) known: crate::commit::PartitionState,
    /// Where the lane ended when it was last told.
    pub(crate) end_when_told: u64,
}

/// A commit on its way into the store.
#[derive(Debug)]
pub(crate) struct Sending {
    phases: VecDeque<Vec<Vec<Put>>>,
}

/// What became of one batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It landed and was acknowledged.
    Landed(Vec<Put>),
    /// It landed, but nobody heard so: it is sent again.
    Unheard(Vec<Put>),
    /// It may land later: it is sent again.
    Late(Vec<Put>),
    /// It never arrived: it is sent again.
    Lost,
    /// All are acknowledged.
    Done,
}

impl Sending {
    pub(crate) fn new(phases: Vec<Vec<Vec<Put>>>) -> Self {
        Self { phases: phases.into() }
    }

    /// Sends a batch of the present phase.
    pub(crate) fn send(&mut self, rng: &mut StdRng, is_atomic: bool, sends_again: bool) -> Sent {
        while self.phases.front().is_some_and(Vec::is_empty) {
            self.phases.pop_front();
        }
        let Some(phase) = self.phases.front_mut() else { return Sent::Done };
        let index = rng.random_range(0..phase.len());
        let sent = match rng.random_range(0..100) {
            0..6 if !is_atomic => Sent::Unheard(phase[index].clone()),
            6..12 if !is_atomic => Sent::Late(phase[index].clone()),
            0..12 => Sent::Lost,
            _ => return Sent::Landed(phase.swap_remove(index)),
        };
        if !sends_again {
            phase.swap_remove(index);
        }
        sent
    }

    /// The sender dies: what of its present phase is still under way.
    pub(crate) fn abandon(mut self) -> Vec<Vec<Put>> {
        self.phases.pop_front().unwrap_or_default()
    }
}

impl Driver {
    pub(crate) fn new(lane: u16) -> Self {
        Self { lane, ..Self::default() }
    }

    /// Forgets everything, as a crash does. Says which writes are still under way.
    pub(crate) fn crash(&mut self) -> Vec<Vec<Put>> {
        let has_refused = self.has_refused;
        let under_way = self.sending.take().map(Sending::abandon).unwrap_or_default();
        *self = Self { has_refused, ..Self::new(self.lane) };
        under_way
    }
}
