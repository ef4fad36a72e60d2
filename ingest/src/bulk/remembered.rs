//! Lines that memory answers. They count once the log was looked at: memory says nothing of a log that was made anew or lost its
//! end meanwhile.

use protocol::log::LogName;

use super::Report;

/// Lines answered from memory, with the first of them.
#[derive(Debug)]
pub(super) struct Remembered {
    first_line: Option<u64>,
    report: Report,
}

impl Remembered {
    pub(super) fn new(log: LogName) -> Self {
        Self { first_line: None, report: Report::new(log) }
    }

    pub(super) fn duplicate(&mut self, line: u64, partition: u16, sequence: u64) {
        self.from(line);
        self.report.duplicate(partition, sequence, 1);
    }

    pub(super) fn conflict(&mut self, line: u64, partition: u16, sequence: u64) {
        self.from(line);
        self.report.conflicts(partition, sequence, 1, &[line]);
    }

    /// The first line; `None` when memory answered none.
    pub(super) fn first_line(&self) -> Option<u64> {
        self.first_line
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    fn from(&mut self, line: u64) {
        self.first_line = Some(self.first_line.map_or(line, |first| first.min(line)));
    }
}
