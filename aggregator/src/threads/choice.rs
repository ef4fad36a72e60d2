//! How the lanes work next, on which threads and whether they read: a pure function of what is seen.

use std::time::Duration;

use tokio::time::Instant;

use super::{Mode, rests::Rests};

/// From so many launches a second on, of all lanes together, it is a flood: callers compete for the cores with what their own
/// launches cost the aggregator. Below it, to be seen soon costs them nothing.
pub(super) const FLOOD_LAUNCHES_A_SECOND: u64 = 10_000;
/// From so many launches a second on one measurement makes a flood, and be it a single bulk of some thousands: who posts those
/// waits as one does in a flood.
pub(super) const GREAT_FLOOD_LAUNCHES_A_SECOND: u64 = 100_000;
/// At least over so long that is measured, however close two looks are; usually it is from one look to the next.
const MEASURED_OVER: Duration = Duration::from_millis(25);
/// So many measurements in a row make a flood: lanes take launches in lumps, and one lump is none.
const BEGINS_AFTER: u32 = 4;
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
    /// Launches that callers of this process have posted: that are on the log.
    pub(super) posted: u64,
    /// Launches that the lanes have taken from the log, whoever wrote them; it only grows while the lanes stay the same.
    pub(super) taken: u64,
    /// How far the lanes are behind the log, the furthest; `None` while one has not begun.
    pub(super) behind: Option<Duration>,
    /// For how long patient threads were not heard.
    pub(super) silent_for: Duration,
}

/// Launches since the measurement before, and how long that was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) posted: u64,
    pub(super) taken: u64,
    pub(super) over_ms: u64,
}

impl Measured {
    /// Whether callers post so many a second.
    pub(super) fn is_posting(&self, launches_a_second: u64) -> bool {
        self.reaches(self.posted, launches_a_second)
    }

    fn is_flood(&self, launches_a_second: u64) -> bool {
        self.reaches(self.posted.max(self.taken), launches_a_second)
    }

    fn reaches(&self, launches: u64, launches_a_second: u64) -> bool {
        launches.saturating_mul(1_000) >= self.over_ms.saturating_mul(launches_a_second)
    }
}

/// Remembers why it insists, and what it measures from.
#[derive(Debug, Default)]
pub(super) struct Choice {
    insists_until: Option<Instant>,
    measured: Option<(Instant, Seen)>,
    is_flood: bool,
    /// How many measurements in a row have said otherwise.
    otherwise: u32,
    rests: Rests,
}

impl Choice {
    /// How it is to be from now on.
    pub(super) fn look(&mut self, now: Instant, seen: Seen) -> Mode {
        let is_too_far = seen.behind.is_some_and(|behind| behind > MOST_BEHIND);
        if is_too_far || seen.silent_for > LONGEST_SILENCE {
            self.insists_until = Some(now + INSISTS_FOR);
        }
        let insists = seen.behind.is_none() || self.insists_until.is_some_and(|until| now < until);
        if let Some(measured) = self.measure(now, seen) {
            self.notice_floods(measured);
            self.rests.count(now, measured);
            if !insists {
                self.rests.turn(now, measured);
            }
        }
        if insists {
            self.rests.end(now);
        }
        if !self.is_flood {
            self.rests = Rests::default();
        }
        if insists || !self.is_flood {
            Mode::Insistent
        } else if self.rests.is_on() {
            Mode::Resting
        } else {
            Mode::Patient
        }
    }

    fn measure(&mut self, now: Instant, seen: Seen) -> Option<Measured> {
        let (since, before) = *self.measured.get_or_insert((now, seen));
        let over = now.saturating_duration_since(since);
        if over < MEASURED_OVER {
            return None;
        }
        self.measured = Some((now, seen));
        Some(Measured {
            posted: seen.posted.saturating_sub(before.posted),
            taken: seen.taken.saturating_sub(before.taken),
            over_ms: u64::try_from(over.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn notice_floods(&mut self, measured: Measured) {
        let is_fast = measured.is_flood(FLOOD_LAUNCHES_A_SECOND);
        self.otherwise = if is_fast == self.is_flood { 0 } else { self.otherwise + 1 };
        let wanted = if self.is_flood {
            ENDS_AFTER
        } else if measured.is_flood(GREAT_FLOOD_LAUNCHES_A_SECOND) {
            1
        } else {
            BEGINS_AFTER
        };
        if self.otherwise >= wanted {
            (self.is_flood, self.otherwise) = (is_fast, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);
    const LEVEL: Seen = Seen { posted: 0, taken: 0, behind: Some(Duration::ZERO), silent_for: Duration::ZERO };
    /// What comes between two measurements at such a rate.
    fn launches_of(launches_a_second: u64) -> u64 {
        launches_a_second * u64::try_from(MEASURED_OVER.as_millis()).unwrap() / 1_000
    }

    /// Looks again and again at a flood that goes on.
    struct Flood {
        choice: Choice,
        now: Instant,
        posted: u64,
        taken: u64,
    }

    impl Flood {
        /// Nothing is measured yet.
        fn before() -> Self {
            let mut flood = Self { choice: Choice::default(), now: Instant::now(), posted: 0, taken: 0 };
            assert_eq!(flood.choice.look(flood.now, LEVEL), Mode::Insistent);
            flood
        }

        /// It has begun.
        fn new() -> Self {
            let mut flood = Self::before();
            for _ in 1..BEGINS_AFTER {
                assert_eq!(flood.look(LEVEL), Mode::Insistent, "it may be a lump");
            }
            assert_eq!(flood.look(LEVEL), Mode::Patient);
            flood
        }

        fn look(&mut self, seen: Seen) -> Mode {
            self.now += MEASURED_OVER;
            self.taken += launches_of(FLOOD_LAUNCHES_A_SECOND);
            self.choice.look(self.now, Seen { posted: self.posted, taken: self.taken, ..seen })
        }

        /// So many launches a second are posted, so many taken.
        fn posts(&mut self, posted_a_second: u64, taken_a_second: u64) -> Mode {
            self.posted += launches_of(posted_a_second);
            self.taken += launches_of(taken_a_second);
            self.now += MEASURED_OVER;
            self.choice.look(self.now, Seen { posted: self.posted, taken: self.taken, ..LEVEL })
        }

        /// For how long it insists although everything is well.
        fn insists_for(&mut self) -> Duration {
            let since = self.now;
            while self.look(LEVEL) == Mode::Insistent {}
            self.now - since
        }
    }

    #[test]
    fn level_lanes_are_patient_in_a_flood_and_only_there() {
        let mut flood = Flood::new();
        let seen = Seen { taken: flood.taken, ..LEVEL };
        assert_eq!(flood.choice.look(flood.now + MOMENT, seen), Mode::Patient, "too soon to measure");
        for _ in 1..ENDS_AFTER {
            flood.taken -= 1;
            assert_eq!(flood.look(LEVEL), Mode::Patient, "it may be a stall");
        }
        assert_eq!(flood.look(LEVEL), Mode::Patient);
        for _ in 1..ENDS_AFTER {
            flood.taken = 0;
            assert_eq!(flood.look(LEVEL), Mode::Patient, "a lane may have been let go");
        }
        flood.taken -= 1;
        assert_eq!(flood.look(LEVEL), Mode::Insistent);
        for _ in 1..BEGINS_AFTER {
            assert_eq!(flood.look(LEVEL), Mode::Insistent);
        }
        assert_eq!(flood.look(LEVEL), Mode::Patient);
    }

    #[test]
    fn what_is_posted_is_a_flood_before_it_is_taken() {
        let mut flood = Flood::before();
        for _ in 1..BEGINS_AFTER {
            assert_eq!(flood.posts(FLOOD_LAUNCHES_A_SECOND, 0), Mode::Insistent);
        }
        assert_eq!(flood.posts(FLOOD_LAUNCHES_A_SECOND, 0), Mode::Patient);
    }

    #[test]
    fn a_great_flood_needs_one_measurement() {
        let much = launches_of(GREAT_FLOOD_LAUNCHES_A_SECOND);
        for (launches, expected) in [(much - 1, Mode::Insistent), (much, Mode::Patient)] {
            for seen in [Seen { taken: launches, ..LEVEL }, Seen { posted: launches, ..LEVEL }] {
                let (mut choice, now) = (Choice::default(), Instant::now());
                assert_eq!(choice.look(now, LEVEL), Mode::Insistent);
                assert_eq!(choice.look(now + MEASURED_OVER, seen), expected, "{seen:?}");
            }
        }
    }

    #[test]
    fn what_others_write_to_the_log_is_not_rested_for() {
        let mut flood = Flood::before();
        for _ in 0..10 {
            assert_eq!(flood.posts(0, GREAT_FLOOD_LAUNCHES_A_SECOND), Mode::Patient);
        }
    }

    #[test]
    fn lanes_rest_in_a_great_flood_unless_one_is_far_behind() {
        let mut flood = Flood::before();
        assert_eq!(flood.posts(GREAT_FLOOD_LAUNCHES_A_SECOND, 0), Mode::Patient, "it may be a short bulk");
        assert_eq!(flood.posts(GREAT_FLOOD_LAUNCHES_A_SECOND, 0), Mode::Resting);
        let seen = Seen { posted: flood.posted, taken: flood.taken, ..LEVEL };
        assert_eq!(flood.choice.look(flood.now + MOMENT, seen), Mode::Resting, "too soon to measure");
        assert_eq!(flood.look(Seen { behind: Some(MOST_BEHIND + MOMENT), ..LEVEL }), Mode::Insistent);
        assert_eq!(flood.posts(GREAT_FLOOD_LAUNCHES_A_SECOND, 0), Mode::Insistent);
    }

    #[test]
    fn what_was_left_unread_is_forgotten_with_its_flood() {
        let mut flood = Flood::before();
        for _ in 0..2 {
            for _ in 0..10 {
                flood.posts(100 * GREAT_FLOOD_LAUNCHES_A_SECOND, 0);
            }
            assert_eq!(flood.posts(GREAT_FLOOD_LAUNCHES_A_SECOND, 0), Mode::Resting, "as the first time");
            while flood.posts(0, 0) != Mode::Insistent {}
        }
    }

    #[test]
    fn lanes_that_begin_insist_and_no_longer() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { behind: None, ..LEVEL }), Mode::Insistent);
        assert_eq!(flood.look(LEVEL), Mode::Patient);
    }

    #[test]
    fn a_lane_far_behind_insists_until_it_has_been_level_for_a_while() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { behind: Some(MOST_BEHIND), ..LEVEL }), Mode::Patient);
        for _ in 0..2 {
            assert_eq!(flood.look(Seen { behind: Some(MOST_BEHIND + MOMENT), ..LEVEL }), Mode::Insistent);
        }
        assert_eq!(flood.insists_for(), INSISTS_FOR);
    }

    #[test]
    fn threads_that_find_no_time_insist_however_level_the_lanes_are() {
        let mut flood = Flood::new();
        assert_eq!(flood.look(Seen { silent_for: LONGEST_SILENCE, ..LEVEL }), Mode::Patient);
        assert_eq!(flood.look(Seen { silent_for: LONGEST_SILENCE + MOMENT, ..LEVEL }), Mode::Insistent);
        assert_eq!(flood.insists_for(), INSISTS_FOR);
    }
}
