//! Which threads the lanes work on next: a pure function of what is seen.

use std::time::Duration;

use tokio::time::Instant;

use super::Kind;

/// From so many launches a second on, of all lanes together, it is a flood: callers compete for the cores with what their own
/// launches cost the aggregator. Below it, to be seen soon costs them nothing.
const FLOOD_LAUNCHES_A_SECOND: u64 = 10_000;
/// At least over so long that is measured, however close two looks are; usually it is from one look to the next.
const MEASURED_OVER: Duration = Duration::from_millis(25);
/// So many measurements in a row make a flood: lanes take launches in lumps, and one lump is none.
const BEGINS_AFTER: u32 = 4;
/// From so many launches a second on one measurement does, and be it a single bulk of some thousands: who posts those waits as
/// one does in a flood.
const GREAT_FLOOD_LAUNCHES_A_SECOND: u64 = 100_000;
/// So many in a row end it: what stalls for a moment is one still.
const ENDS_AFTER: u32 = 6;
/// A lane that is this far behind the log has been patient for long enough: so long readers wait by default until a position
/// that they name is applied. A lane tells every second how it stands, also when nothing comes.
const MOST_BEHIND: Duration = Duration::from_secs(2);
/// Patient threads that were not heard for so long find no time: something wants all cores all the time.
const LONGEST_SILENCE: Duration = Duration::from_millis(250);
/// After either, for so long: whatever it was may last, and to be behind again and again is no better than to be behind.
const INSISTS_FOR: Duration = Duration::from_secs(10);

/// What there is to see of the lanes and of patient threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Launches that the lanes have taken from the log; it only grows while the lanes stay the same.
    pub(super) launches: u64,
    /// How far the lanes are behind the log, the furthest; `None` while one has not begun.
    pub(super) behind: Option<Duration>,
    /// For how long patient threads were not heard.
    pub(super) silent_for: Duration,
}

/// Remembers why it insists, and what it measures from.
#[derive(Debug, Default)]
pub(super) struct Choice {
    insists_until: Option<Instant>,
    measured: Option<(Instant, u64)>,
    is_flood: bool,
    /// How many measurements in a row have said otherwise.
    otherwise: u32,
}

impl Choice {
    /// Which threads it is to be from now on.
    pub(super) fn look(&mut self, now: Instant, seen: Seen) -> Kind {
        self.measure(now, seen.launches);
        let is_too_far = seen.behind.is_some_and(|behind| behind > MOST_BEHIND);
        if is_too_far || seen.silent_for > LONGEST_SILENCE {
            self.insists_until = Some(now + INSISTS_FOR);
        }
        let insists = seen.behind.is_none() || self.insists_until.is_some_and(|until| now < until);
        if self.is_flood && !insists { Kind::Patient } else { Kind::Insistent }
    }

    fn measure(&mut self, now: Instant, launches: u64) {
        let (since, before) = *self.measured.get_or_insert((now, launches));
        let elapsed = now.saturating_duration_since(since);
        if elapsed < MEASURED_OVER {
            return;
        }
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let taken = launches.saturating_sub(before);
        let reaches = |launches_a_second| taken.saturating_mul(1_000) >= elapsed_ms.saturating_mul(launches_a_second);
        let is_fast = reaches(FLOOD_LAUNCHES_A_SECOND);
        self.otherwise = if is_fast == self.is_flood { 0 } else { self.otherwise + 1 };
        let wanted = if self.is_flood {
            ENDS_AFTER
        } else if reaches(GREAT_FLOOD_LAUNCHES_A_SECOND) {
            1
        } else {
            BEGINS_AFTER
        };
        if self.otherwise >= wanted {
            (self.is_flood, self.otherwise) = (is_fast, 0);
        }
        self.measured = Some((now, launches));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);
    const LEVEL: Seen = Seen { launches: 0, behind: Some(Duration::ZERO), silent_for: Duration::ZERO };
    /// What comes between two measurements at such a rate.
    fn launches_of(launches_a_second: u64) -> u64 {
        launches_a_second * u64::try_from(MEASURED_OVER.as_millis()).unwrap() / 1_000
    }

    /// Looks again and again at a flood that goes on.
    struct Flood {
        choice: Choice,
        now: Instant,
        launches: u64,
    }

    impl Flood {
        /// It has begun.
        fn new() -> Self {
            let mut flood = Self { choice: Choice::default(), now: Instant::now(), launches: 0 };
            assert_eq!(flood.choice.look(flood.now, LEVEL), Kind::Insistent, "nothing is measured yet");
            for _ in 1..BEGINS_AFTER {
                assert_eq!(flood.look(LEVEL), Kind::Insistent, "it may be a lump");
            }
            assert_eq!(flood.look(LEVEL), Kind::Patient);
            flood
        }

        fn look(&mut self, seen: Seen) -> Kind {
            self.now += MEASURED_OVER;
            self.launches += launches_of(FLOOD_LAUNCHES_A_SECOND);
            self.choice.look(self.now, Seen { launches: self.launches, ..seen })
        }

        /// For how long it insists although everything is well.
        fn insists_for(&mut self) -> Duration {
            let since = self.now;
            while self.look(LEVEL) == Kind::Insistent {}
            self.now - since
        }
    }

    #[test]
    fn level_lanes_are_patient_in_a_flood_and_only_there() {
        let mut flood = Flood::new();
        assert_eq!(flood.choice.look(flood.now + MOMENT, LEVEL), Kind::Patient, "too soon to measure");
        for _ in 1..ENDS_AFTER {
            flood.launches -= 1;
            assert_eq!(flood.look(LEVEL), Kind::Patient, "it may be a stall");
        }
        assert_eq!(flood.look(LEVEL), Kind::Patient);
        for _ in 1..ENDS_AFTER {
            flood.launches = 0;
            assert_eq!(flood.look(LEVEL), Kind::Patient, "a lane may have been let go");
        }
        flood.launches -= 1;
        assert_eq!(flood.look(LEVEL), Kind::Insistent);
        for _ in 1..BEGINS_AFTER {
            assert_eq!(flood.look(LEVEL), Kind::Insistent);
        }
        assert_eq!(flood.look(LEVEL), Kind::Patient);
    }

    #[test]
    fn a_great_flood_needs_one_measurement() {
        let much = launches_of(GREAT_FLOOD_LAUNCHES_A_SECOND);
        for (launches, expected) in [(much - 1, Kind::Insistent), (much, Kind::Patient)] {
            let (mut choice, now) = (Choice::default(), Instant::now());
            assert_eq!(choice.look(now, LEVEL), Kind::Insistent);
            assert_eq!(choice.look(now + MEASURED_OVER, Seen { launches, ..LEVEL }), expected);
        }
    }

    #[test]
    fn lanes_that_begin_insist_and_no_longer() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { behind: None, ..LEVEL }), Kind::Insistent);
        assert_eq!(flood.look(LEVEL), Kind::Patient);
    }

    #[test]
    fn a_lane_far_behind_insists_until_it_has_been_level_for_a_while() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { behind: Some(MOST_BEHIND), ..LEVEL }), Kind::Patient);
        for _ in 0..2 {
            assert_eq!(flood.look(Seen { behind: Some(MOST_BEHIND + MOMENT), ..LEVEL }), Kind::Insistent);
        }
        assert_eq!(flood.insists_for(), INSISTS_FOR);
    }

    #[test]
    fn threads_that_find_no_time_insist_however_level_the_lanes_are() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { silent_for: LONGEST_SILENCE, ..LEVEL }), Kind::Patient);
        assert_eq!(flood.look(Seen { silent_for: LONGEST_SILENCE + MOMENT, ..LEVEL }), Kind::Insistent);
        assert_eq!(flood.insists_for(), INSISTS_FOR);
    }
}
