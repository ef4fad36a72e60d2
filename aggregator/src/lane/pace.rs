//! How soon the next run begins after a commit.
//!
//! A lone launch is committed at once. In a flood every commit writes the rows of nearly every account again, whether it brings
//! one launch of each or twenty; a store that has become quicker would only be given more commits. So after a large commit
//! launches gather for a while, unless the flood ebbs away or as much has gathered as a commit should have. Where lanes let all
//! others go first ([`crate::threads`]) they gather after a small commit, too, for a shorter while.

use std::time::Duration;

use tokio::time::Instant;

/// A commit from this many bytes on (about 2,000 launches as they count for the read-ahead) is part of a flood.
const FLOOD_BYTES: usize = 1024 * 1024;
/// Launches gather this many times as long as the commit before took: commits keep a third of a lane's time.
const GATHER_FACTOR: u32 = 2;
/// The longest gathering: what a flood's launches wait for more than they have to.
const LONGEST_GATHERING: Duration = Duration::from_millis(300);
/// How long launches gather after any commit where lanes let others go first. Hundreds of commits a second cost the others a
/// tenth of what they do, and of a twentieth of a second readers notice little in a flood.
const PATIENT_GATHERING: Duration = Duration::from_millis(50);
/// No message for this long: the flood is over. Messages of a thousand launches come every 10 to 20 ms in each of four lanes.
const EBB: Duration = Duration::from_millis(50);

/// The pace of one lane.
#[derive(Debug, Default)]
pub(super) struct Pace {
    gathers_until: Option<Instant>,
    last_message: Option<Instant>,
}

impl Pace {
    /// A commit of so many bytes has ended, after `took`; `is_patient` where lanes let others go first.
    pub(super) fn committed(&mut self, now: Instant, took: Duration, bytes: usize, is_patient: bool) {
        let of_a_flood = (took * GATHER_FACTOR).min(LONGEST_GATHERING);
        let gathering = match (bytes >= FLOOD_BYTES, is_patient) {
            (true, true) => of_a_flood.max(PATIENT_GATHERING),
            (true, false) => of_a_flood,
            (false, true) => PATIENT_GATHERING,
            (false, false) => Duration::ZERO,
        };
        self.gathers_until = (!gathering.is_zero()).then(|| now + gathering);
        self.last_message = Some(now);
    }

    /// A message has come.
    pub(super) fn message(&mut self, now: Instant) {
        if self.gathers_until.is_some() {
            self.last_message = Some(now);
        }
    }

    /// Enough has gathered.
    pub(super) fn enough(&mut self) {
        self.gathers_until = None;
    }

    /// Until when nothing is begun, unless a message comes or it is enough.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        let ebb = self.last_message.map(|last| last + EBB);
        self.gathers_until.map(|until| ebb.map_or(until, |ebb| ebb.min(until)))
    }

    /// Whether to go on gathering.
    pub(super) fn gathers(&mut self, now: Instant) -> bool {
        let gathers = self.waits_until().is_some_and(|until| now < until);
        if !gathers {
            self.enough();
        }
        gathers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(100);

    #[test]
    fn small_commits_are_not_held_up() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!(!pace.gathers(now));
        pace.committed(now, TOOK, FLOOD_BYTES - 1, false);
        assert!(!pace.gathers(now));
    }

    #[test]
    fn a_flood_gathers_for_its_time_and_no_longer() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.committed(start, TOOK, FLOOD_BYTES, false);
        let mut now = start;
        while now < start + TOOK * GATHER_FACTOR {
            assert!(pace.gathers(now));
            pace.message(now);
            now += EBB / 2;
        }
        assert!(!pace.gathers(now));
        pace.committed(start, LONGEST_GATHERING, FLOOD_BYTES, false);
        pace.message(start + LONGEST_GATHERING);
        assert!(!pace.gathers(start + LONGEST_GATHERING));
    }

    #[test]
    fn the_patient_gather_after_small_commits_too() {
        let start = Instant::now();
        for (took, bytes, expected) in [
            (Duration::from_millis(1), 1, PATIENT_GATHERING),
            (Duration::from_millis(1), FLOOD_BYTES, PATIENT_GATHERING),
            (TOOK, FLOOD_BYTES, TOOK * GATHER_FACTOR),
        ] {
            let mut pace = Pace::default();
            pace.committed(start, took, bytes, true);
            pace.message(start + expected - EBB / 2);
            assert!(pace.gathers(start + expected - EBB / 10), "{took:?} {bytes}");
            assert!(!pace.gathers(start + expected), "{took:?} {bytes}");
        }
    }

    #[test]
    fn an_ebb_or_enough_ends_it() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.committed(now, TOOK, FLOOD_BYTES, false);
        pace.message(now + EBB / 2);
        assert!(pace.gathers(now + EBB));
        assert!(!pace.gathers(now + EBB / 2 + EBB));
        pace.committed(now, TOOK, FLOOD_BYTES, false);
        pace.enough();
        assert!(!pace.gathers(now));
    }
}
