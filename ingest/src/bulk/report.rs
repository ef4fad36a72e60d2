//! What a bulk is answered.

use std::collections::BTreeMap;

use ledger::{Invalid, Reason};
use protocol::{log::LogName, position::Position};
use serde::Serialize;

use crate::flight::Failure;

/// Refused lines that are listed; more are counted. A list without a bound would be as long as the body.
pub const MAX_ERRORS: usize = 1_000;
/// The longest detail of one error, in bytes: details may quote what was sent.
const MAX_DETAIL_BYTES: usize = 300;

/// A refused line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Line in the body, from 1; element of an array, from 1.
    pub line: u64,
    /// The slug.
    #[serde(rename = "type")]
    pub slug: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// Counts while a bulk is read.
#[derive(Debug)]
pub struct Report {
    log: LogName,
    accepted: u64,
    duplicates: u64,
    by_reason: BTreeMap<Reason, u64>,
    lanes: BTreeMap<u16, u64>,
    /// By line. Conflicts are known when what they wait for is decided, which is after later lines were refused.
    errors: BTreeMap<u64, LineError>,
}

/// The end of a bulk.
#[derive(Debug)]
pub struct Finished {
    /// Newly acknowledged launches.
    pub accepted: u64,
    /// Launches that the log had already.
    pub duplicates: u64,
    /// Refused lines, by reason.
    pub by_reason: BTreeMap<Reason, u64>,
    /// Covers everything accepted and every duplicate; `None` when there was neither.
    pub position: Option<Position>,
    /// The refused lines, in order, the first [`MAX_ERRORS`] of them.
    pub errors: Vec<LineError>,
    /// Why it ended early.
    pub failure: Option<Failure>,
    /// The first line that is perhaps not on the log, after a failure.
    pub first_uncertain_line: Option<u64>,
}

impl Report {
    pub(super) fn new(log: LogName) -> Self {
        let (by_reason, lanes) = (BTreeMap::new(), BTreeMap::new());
        Self { log, accepted: 0, duplicates: 0, by_reason, lanes, errors: BTreeMap::new() }
    }

    pub(super) fn accepted(&mut self, partition: u16, sequence: u64, count: u64) {
        self.accepted += count;
        self.reached(partition, sequence);
    }

    pub(super) fn duplicate(&mut self, partition: u16, sequence: u64, count: u64) {
        self.duplicates += count;
        if count > 0 {
            self.reached(partition, sequence);
        }
    }

    pub(super) fn conflicts(&mut self, partition: u16, sequence: u64, count: u64, lines: &[u64]) {
        if count == 0 {
            return;
        }
        *self.by_reason.entry(Reason::Conflict).or_default() += count;
        let position = Position::of_lane(self.log, partition, sequence);
        for line in lines {
            let detail = || format!("the id is known with other content, accepted at position {position}");
            self.list(*line, Reason::Conflict.slug(), detail);
        }
    }

    pub(super) fn reject(&mut self, line: u64, invalid: &Invalid) {
        *self.by_reason.entry(invalid.reason).or_default() += 1;
        self.list(line, invalid.reason.slug(), || shortened(&invalid.detail));
    }

    /// Adds what another report of the same bulk says.
    pub(super) fn add(&mut self, other: Self) {
        self.duplicates += other.duplicates;
        self.accepted += other.accepted;
        for (reason, count) in other.by_reason {
            *self.by_reason.entry(reason).or_default() += count;
        }
        other.lanes.into_iter().for_each(|(partition, sequence)| self.reached(partition, sequence));
        for (line, error) in other.errors {
            self.list(line, error.slug, || error.detail);
        }
    }

    pub(super) fn finish(self, failure: Option<Failure>, first_uncertain_line: Option<u64>) -> Finished {
        Finished {
            accepted: self.accepted,
            duplicates: self.duplicates,
            by_reason: self.by_reason,
            position: (!self.lanes.is_empty()).then_some(Position { log: self.log, lanes: self.lanes }),
            errors: self.errors.into_values().collect(),
            failure,
            first_uncertain_line: failure.and(first_uncertain_line),
        }
    }

    fn reached(&mut self, partition: u16, sequence: u64) {
        let known = self.lanes.entry(partition).or_default();
        *known = sequence.max(*known);
    }

    /// Lists a line, unless as many before it are. The last of too many gives way.
    fn list(&mut self, line: u64, slug: &'static str, detail: impl FnOnce() -> String) {
        if self.errors.len() >= MAX_ERRORS {
            if self.errors.last_key_value().is_none_or(|(last, _)| *last < line) {
                return;
            }
            self.errors.pop_last();
        }
        self.errors.insert(line, LineError { line, slug, detail: detail() });
    }
}

impl Finished {
    /// How many lines were refused.
    pub fn rejected(&self) -> u64 {
        self.by_reason.values().sum()
    }

    /// Whether there were more refused lines than are listed.
    pub fn errors_truncated(&self) -> bool {
        u64::try_from(self.errors.len()).unwrap_or(u64::MAX) < self.rejected()
    }
}

fn shortened(detail: &str) -> String {
    let end = detail.floor_char_boundary(MAX_DETAIL_BYTES);
    if end < detail.len() { format!("{}…", &detail[..end]) } else { detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use protocol::log::Incarnation;

    use super::*;

    #[test]
    fn the_first_refused_lines_are_listed_however_late_they_are_decided() {
        let mut report = Report::new(LogName { epoch: 1, incarnation: Incarnation::of("s") });
        let most = MAX_ERRORS as u64;
        for line in 11..=most + 20 {
            report.reject(line, &Invalid::new(Reason::Malformed, "no launch"));
        }
        report.conflicts(0, 7, 10, &(1..=10).collect::<Vec<_>>());
        let finished = report.finish(None, None);
        let listed: Vec<(u64, &str)> = finished.errors.iter().map(|error| (error.line, error.slug)).collect();
        let conflicts = (1..=10).map(|line| (line, Reason::Conflict.slug()));
        let malformed = (11..=most).map(|line| (line, Reason::Malformed.slug()));
        assert_eq!(listed, conflicts.chain(malformed).collect::<Vec<_>>());
        assert_eq!((finished.rejected(), finished.errors_truncated()), (most + 20, true));
    }

    #[test]
    fn two_reports_of_a_bulk_are_one() {
        let name = LogName { epoch: 1, incarnation: Incarnation::of("s") };
        let (mut first, mut second) = (Report::new(name), Report::new(name));
        first.accepted(0, 9, 2);
        first.reject(3, &Invalid::new(Reason::Malformed, "no launch"));
        second.duplicate(0, 4, 1);
        second.duplicate(1, 7, 1);
        second.conflicts(0, 5, 1, &[1]);
        first.add(second);
        let finished = first.finish(None, None);
        assert_eq!((finished.accepted, finished.duplicates, finished.rejected()), (2, 2, 2));
        let lanes = finished.position.map(|position| position.lanes);
        assert_eq!(lanes, Some(BTreeMap::from([(0, 9), (1, 7)])));
        assert_eq!(finished.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 3]);
    }
}
