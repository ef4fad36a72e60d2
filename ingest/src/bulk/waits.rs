//! Lines whose ids are on their way already: what they are is known when that publish has ended.

use std::{collections::VecDeque, sync::Arc};

use super::report;
use crate::flight::Flight;

/// Lines that are decided by somebody's flight.
pub(super) struct Wait {
    pub(super) flight: Arc<Flight>,
    pub(super) partition: u16,
    pub(super) first_line: u64,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    /// The first of the conflicting lines, as many as errors are listed.
    pub(super) conflict_lines: Vec<u64>,
}

/// By flight, in the order in which the flights were met.
#[derive(Default)]
pub(super) struct Waits(VecDeque<Wait>);

impl Waits {
    /// How many flights are waited for.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a line that `flight` decides.
    pub(super) fn add(&mut self, flight: Arc<Flight>, partition: u16, number: u64, same_content: bool) {
        let known = self.0.iter().rposition(|wait| Arc::ptr_eq(&wait.flight, &flight));
        let index = known.unwrap_or_else(|| {
            let (duplicates, conflicts, conflict_lines) = (0, 0, Vec::new());
            self.0.push_back(Wait { flight, partition, first_line: number, duplicates, conflicts, conflict_lines });
            self.0.len() - 1
        });
        self.0[index].add(number, same_content);
    }

    /// Takes out those whose flights have ended.
    pub(super) fn take_settled(&mut self) -> VecDeque<Wait> {
        let waits = std::mem::take(&mut self.0).into_iter();
        let (settled, open) = waits.partition(|wait| wait.flight.outcome().is_some());
        self.0 = open;
        settled
    }

    /// Takes out the one that was met first.
    pub(super) fn pop_oldest(&mut self) -> Option<Wait> {
        self.0.pop_front()
    }
}

impl Wait {
    fn add(&mut self, number: u64, same_content: bool) {
        if same_content {
            self.duplicates += 1;
            return;
        }
        self.conflicts += 1;
        if self.conflict_lines.len() < report::MAX_ERRORS {
            self.conflict_lines.push(number);
        }
    }
}
