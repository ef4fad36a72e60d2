//! What is on its way between the processes and the log.

use rand::{RngExt, rngs::StdRng};

use super::launch::Launch;
use crate::publishing::Answer;

/// Nothing arrives later. Together with the time in which it is sent again it is less than an unknown outcome is kept.
const LATEST_MS: u64 = 60_000;

/// Who sent something: a process, and which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) process: usize,
    pub(super) life: u64,
}

/// A message on its way to the log.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) sender: Sender,
    pub(super) partition: u16,
    /// By what the answer names it.
    pub(super) number: u64,
    pub(super) message_id: String,
    pub(super) launches: Vec<Launch>,
    pub(super) batches: Vec<u64>,
    pub(super) sent_ms: u64,
}

/// An answer on its way back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) sender: Sender,
    pub(super) partition: u16,
    pub(super) number: u64,
    pub(super) answer: Answer,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) requests: Vec<Request>,
    pub(super) replies: Vec<Reply>,
}

impl Network {
    /// A request that arrives now. Mostly they come in order.
    pub(super) fn arriving(&mut self, rng: &mut StdRng, now_ms: u64) -> Option<Request> {
        self.requests.retain(|request| now_ms - request.sent_ms < LATEST_MS);
        let index = some_index(rng, self.requests.len())?;
        Some(self.requests.remove(index))
    }

    pub(super) fn answering(&mut self, rng: &mut StdRng) -> Option<Reply> {
        let index = some_index(rng, self.replies.len())?;
        Some(self.replies.remove(index))
    }
}

fn some_index(rng: &mut StdRng, length: usize) -> Option<usize> {
    match length {
        0 => None,
        _ if rng.random_bool(0.7) => Some(0),
        _ => Some(rng.random_range(0..length)),
    }
}
