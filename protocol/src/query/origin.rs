//! Which log a query instance answers for: what the stream says, what the store says, and what
//! follows from both.
//!
//! The stream's metadata decide. What is stored names in its progress the log that it was filled
//! from; a store belongs to exactly one. Positions begin with the log's name, and accounts are
//! spread over as many lanes as the log has: nothing can be answered, and no demand be judged,
//! before one identity is known.
//!
//! | the stream | the store | standing |
//! |---|---|---|
//! | not heard yet | any, or not looked at | [`Standing::Unknown`], until [`Origin::wait_is_over`] |
//! | not heard, the wait is over | of log A | [`Standing::Serves`] A, on the store's word |
//! | not heard, the wait is over | empty | [`Standing::Unknown`] |
//! | log A | not looked at | [`Standing::Unknown`] |
//! | log A | empty, or of log A | [`Standing::Serves`] A |
//! | log A | of log B, or of several logs | [`Standing::OtherLog`] |
//! | not heard | of several logs | [`Standing::OtherLog`] |
//!
//! A stream that does not answer any more, or is not there, keeps what it said last. Both may
//! change while readers are served: an operator restores the log, raises its epoch, or corrects a
//! slip; another service fills the store.

mod rules;

use std::fmt;

pub(crate) use rules::OriginRules;

use crate::{
    commit::Progress,
    lane::{DEFAULT_PARTITIONS, MAX_PARTITIONS},
    log::LogIdentity,
};

/// What is known of log and store; see the head of this module.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    stream: Option<LogIdentity>,
    stored: Stored,
    wait_is_over: bool,
    rules: OriginRules,
}

#[derive(Clone, Debug, Default)]
enum Stored {
    /// Not looked at.
    #[default]
    Unread,
    /// No lane has progress.
    Empty,
    /// Every lane that has progress was filled from this log.
    Of(LogIdentity),
    /// Two lanes that were filled from different logs.
    Several(LogIdentity, LogIdentity),
}

/// What may be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet: readers wait, then they are sent away for a moment.
    #[default]
    Unknown,
    /// Everything that is stored, for this log with its lanes.
    Serves(LogIdentity),
    /// Nothing, until an operator has repaired it.
    OtherLog(OtherLog),
}

/// The store was filled from another log than the one that it stands beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherLog {
    /// Which log the store was filled from.
    pub stored: LogIdentity,
    /// Which log there is, or from which other one a part of the store was filled.
    pub log: LogIdentity,
}

impl fmt::Display for OtherLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, log } = self;
        write!(
            formatter,
            "the store was filled from {stored}, but the log is {log}: nothing is answered until the store is empty and is \
             filled from the log that is there"
        )
    }
}

/// A walk over the lanes of a store, to find out from which log they were filled.
#[derive(Clone, Debug, Default)]
pub struct StoreScan {
    next: u16,
    stored: Option<Stored>,
    rules: OriginRules,
}

impl StoreScan {
    pub(crate) fn with_rules(rules: OriginRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The lane to read next; `None` at the end. As long as none has progress, every lane that any
    /// log can have is looked at.
    pub fn next(&self) -> Option<u16> {
        let end = match &self.stored {
            None if !self.rules.every_lane_is_scanned => DEFAULT_PARTITIONS,
            None => MAX_PARTITIONS,
            Some(Stored::Of(identity)) => identity.partitions,
            Some(_) => 0,
        };
        (self.next < end).then_some(self.next)
    }

    /// Takes in the progress of the lane that [`Self::next`] named.
    pub fn found(&mut self, progress: Option<&Progress>) {
        self.next += 1;
        if let Some(progress) = progress {
            self.stored = Some(self.stored.take().unwrap_or_default().with(&progress.identity, self.rules));
        }
    }
}

impl Stored {
    fn with(self, identity: &LogIdentity, rules: OriginRules) -> Self {
        match self {
            Self::Of(_) if !rules.several_logs_answer_nothing => Self::Of(identity.clone()),
            Self::Unread | Self::Empty => Self::Of(identity.clone()),
            Self::Of(known) if known != *identity => Self::Several(known, identity.clone()),
            known => known,
        }
    }
}

impl Origin {
    pub(crate) fn with_rules(rules: OriginRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// What the stream's metadata say at present. A store that was empty may have been filled since
    /// from the log that the stream was before: it has to be scanned again.
    pub fn stream_says(&mut self, identity: LogIdentity) {
        let is_renamed = self.stream.as_ref().is_some_and(|known| *known != identity);
        if is_renamed && matches!(self.stored, Stored::Empty) && self.rules.renaming_rescans_the_empty {
            self.stored = Stored::Unread;
        }
        self.stream = Some(identity);
    }

    /// Whether nothing is known of the store.
    pub fn needs_scan(&self) -> bool {
        matches!(self.stored, Stored::Unread)
    }

    /// The stream has been waited for as long as it may take: from now on the store's word will do
    /// where it says nothing.
    pub fn wait_is_over(&mut self) {
        self.wait_is_over = true;
    }

    /// What a whole scan of the store has found; takes the place of everything known of it before.
    pub fn store_scanned(&mut self, scan: StoreScan) {
        self.stored = scan.stored.unwrap_or(Stored::Empty);
    }

    /// Progress that was read of one lane, at any time after a scan.
    pub fn store_says(&mut self, identity: &LogIdentity) {
        if self.needs_scan() {
            return;
        }
        self.stored = std::mem::take(&mut self.stored).with(identity, self.rules);
    }

    /// What may be answered.
    pub fn standing(&self) -> Standing {
        let other = |stored: &LogIdentity, log: &LogIdentity| {
            Standing::OtherLog(OtherLog { stored: stored.clone(), log: log.clone() })
        };
        match (&self.stream, &self.stored) {
            (Some(log), _) if !self.rules.other_log_answers_nothing => Standing::Serves(log.clone()),
            (_, Stored::Unread) => Standing::Unknown,
            (Some(log), Stored::Of(stored)) if stored != log => other(stored, log),
            (Some(log), Stored::Several(stored, another)) => other(if stored == log { another } else { stored }, log),
            (None, Stored::Several(stored, another)) => other(stored, another),
            (Some(log), Stored::Empty | Stored::Of(_)) => Standing::Serves(log.clone()),
            (None, Stored::Of(stored)) if self.wait_is_over || !self.rules.waits_for_the_stream => {
                Standing::Serves(stored.clone())
            }
            (None, Stored::Empty | Stored::Of(_)) => Standing::Unknown,
        }
    }

    /// Whether the stream has said which log it is.
    pub fn is_confirmed(&self) -> bool {
        self.stream.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(epoch: u8, stream_id: &str, partitions: u16) -> LogIdentity {
        LogIdentity { epoch, stream_id: stream_id.into(), partitions }
    }

    /// A store whose lanes have these identities in their progress.
    fn scan(lanes: &[(u16, LogIdentity)]) -> StoreScan {
        let mut scan = StoreScan::default();
        while let Some(partition) = scan.next() {
            let found = lanes.iter().find(|(lane, _)| *lane == partition);
            let progress = found.map(|(_, identity)| Progress { sequence: 1, time_ms: 1, identity: identity.clone() });
            scan.found(progress.as_ref());
        }
        scan
    }

    fn standing(stream: Option<&LogIdentity>, stored: Option<&[(u16, LogIdentity)]>, wait_is_over: bool) -> Standing {
        let mut origin = Origin::default();
        if let Some(identity) = stream {
            origin.stream_says(identity.clone());
        }
        if let Some(lanes) = stored {
            origin.store_scanned(scan(lanes));
        }
        if wait_is_over {
            origin.wait_is_over();
        }
        origin.standing()
    }

    #[test]
    fn the_table_at_the_head_holds() {
        let (a, b) = (log(1, "a", 4), log(1, "b", 4));
        let (empty, of_a, of_b): (&[_], _, _) = (&[], [(2, a.clone())], [(0, b.clone()), (1, b.clone())]);
        let several = [(0, a.clone()), (3, b.clone())];
        for stored in [None, Some(empty), Some(&of_a), Some(&of_b)] {
            assert_eq!(standing(None, stored, false), Standing::Unknown);
        }
        assert_eq!(standing(None, Some(&of_a), true), Standing::Serves(a.clone()));
        assert_eq!(standing(None, Some(empty), true), Standing::Unknown);
        let other = |stored: &LogIdentity, log: &LogIdentity| {
            Standing::OtherLog(OtherLog { stored: stored.clone(), log: log.clone() })
        };
        for over in [false, true] {
            assert_eq!(standing(Some(&a), None, over), Standing::Unknown);
            assert_eq!(standing(Some(&a), Some(empty), over), Standing::Serves(a.clone()));
            assert_eq!(standing(Some(&a), Some(&of_a), over), Standing::Serves(a.clone()));
            assert_eq!(standing(Some(&a), Some(&of_b), over), other(&b, &a));
            assert_eq!(standing(Some(&a), Some(&several), over), other(&b, &a));
            assert_eq!(standing(Some(&b), Some(&several), over), other(&a, &b));
            assert_eq!(standing(None, Some(&several), over), other(&a, &b));
        }
    }

    #[test]
    fn each_part_of_the_identity_makes_another_log() {
        let known = log(1, "a", 4);
        for found in [log(2, "a", 4), log(1, "b", 4), log(1, "a", 5)] {
            assert!(matches!(standing(Some(&known), Some(&[(0, found)]), true), Standing::OtherLog(_)));
        }
    }

    #[test]
    fn a_store_of_more_lanes_than_the_log_has_is_found_by_any_of_them() {
        let (found, highest) = (log(1, "a", MAX_PARTITIONS), MAX_PARTITIONS - 1);
        let other = standing(Some(&log(1, "b", 1)), Some(&[(highest, found)]), false);
        assert!(matches!(other, Standing::OtherLog(_)), "{other:?}");
    }

    #[test]
    fn a_scan_reads_no_more_lanes_than_it_must() {
        let mut scan = StoreScan::default();
        let progress = Progress { sequence: 1, time_ms: 1, identity: log(1, "a", 3) };
        scan.found(Some(&progress));
        assert_eq!(scan.next(), Some(1));
        scan.found(None);
        scan.found(None);
        assert_eq!(scan.next(), None);
    }

    #[test]
    fn what_was_filled_since_it_was_found_empty_is_not_served_for_a_renamed_log() {
        let (before, after) = (log(1, "a", 4), log(2, "b", 4));
        let mut origin = Origin::default();
        assert!(origin.needs_scan());
        origin.store_scanned(scan(&[]));
        origin.stream_says(before.clone());
        origin.stream_says(before.clone());
        assert_eq!((origin.needs_scan(), origin.standing()), (false, Standing::Serves(before.clone())));
        origin.stream_says(after.clone());
        assert_eq!((origin.needs_scan(), origin.standing()), (true, Standing::Unknown));
        origin.store_scanned(scan(&[(0, before.clone())]));
        assert_eq!(origin.standing(), Standing::OtherLog(OtherLog { stored: before, log: after }));
    }

    #[test]
    fn what_changes_while_readers_are_served_is_followed() {
        let (a, b) = (log(1, "a", 4), log(2, "b", 4));
        let mut origin = Origin::default();
        origin.store_scanned(scan(&[(1, a.clone())]));
        origin.wait_is_over();
        assert_eq!((origin.standing(), origin.is_confirmed()), (Standing::Serves(a.clone()), false));
        origin.stream_says(a.clone());
        assert_eq!((origin.standing(), origin.is_confirmed()), (Standing::Serves(a.clone()), true));
        origin.stream_says(b.clone());
        assert!(matches!(origin.standing(), Standing::OtherLog(_)), "the epoch was raised");
        origin.store_scanned(scan(&[]));
        assert_eq!(origin.standing(), Standing::Serves(b.clone()), "and the store emptied");
        origin.store_says(&b);
        assert_eq!(origin.standing(), Standing::Serves(b.clone()));
        origin.store_says(&a);
        assert!(matches!(origin.standing(), Standing::OtherLog(_)), "somebody fills it from the former log");
        origin.store_scanned(scan(&[(0, b.clone())]));
        assert_eq!(origin.standing(), Standing::Serves(b));
    }
}
