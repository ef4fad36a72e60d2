//! When lanes rest: read nothing for a while, so that callers who post a great flood have the cores to themselves.

use std::time::Duration;

use tokio::time::Instant;

use super::choice::{FLOOD_LAUNCHES_A_SECOND, GREAT_FLOOD_LAUNCHES_A_SECOND, Measured};

/// The longest rest, and the first of a flood; each further one is as long as lanes took to read what had come in the one before.
/// So where they are much quicker than callers, whom they take little from, readers wait little longer. A second is half of
/// what readers wait by default. Of a bulk everybody waits for the last launch, and that is readable no later: the work is
/// the same.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// So many measurements in a row of a great flood are rested for: a bulk that is over before the next is not.
const RESTS_AFTER: u32 = 2;

/// The rests of one flood.
#[derive(Debug)]
pub(super) struct Rests {
    /// Posted in this flood and not yet taken, about: what others write is taken, too.
    unread: u64,
    /// How many measurements in a row callers have posted a great flood.
    great: u32,
    until: Option<Instant>,
    /// When the last one ended, until what came meanwhile is read.
    reads_since: Option<Instant>,
    /// Of the next.
    length: Duration,
}

impl Default for Rests {
    fn default() -> Self {
        Self { unread: 0, great: 0, until: None, reads_since: None, length: LONGEST_REST }
    }
}

impl Rests {
    /// Whether lanes rest.
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Counts what was measured.
    pub(super) fn count(&mut self, now: Instant, measured: Measured) {
        self.unread = (self.unread + measured.posted).saturating_sub(measured.taken);
        self.great = if measured.is_posting(GREAT_FLOOD_LAUNCHES_A_SECOND) { self.great.saturating_add(1) } else { 0 };
        if self.is_level(measured)
            && let Some(since) = self.reads_since.take()
        {
            self.length = now.saturating_duration_since(since).min(LONGEST_REST);
        }
    }

    /// Begins or ends a rest. It goes on while its time is not over and callers go on posting; the next begins when all is read
    /// that came meanwhile, if it is still a great flood.
    pub(super) fn turn(&mut self, now: Instant, measured: Measured) {
        match self.until {
            Some(until) if now >= until || !measured.is_posting(FLOOD_LAUNCHES_A_SECOND) => self.end(now),
            None if self.great >= RESTS_AFTER && self.is_level(measured) => self.until = Some(now + self.length),
            _ => {}
        }
    }

    /// Lanes read on.
    pub(super) fn end(&mut self, now: Instant) {
        if self.until.take().is_some() {
            self.reads_since = Some(now);
        }
    }

    /// Some of what was posted last is always still on its way.
    fn is_level(&self, measured: Measured) -> bool {
        self.unread <= measured.posted.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_MS: u64 = 50;
    const GREAT: u64 = GREAT_FLOOD_LAUNCHES_A_SECOND;

    struct Flood {
        rests: Rests,
        now: Instant,
    }

    impl Flood {
        /// A great one, in which a rest has begun.
        fn great() -> Self {
            let mut flood = Self { rests: Rests::default(), now: Instant::now() };
            for _ in 1..RESTS_AFTER {
                assert!(!flood.posts(GREAT, 0), "it may be a short bulk");
            }
            assert!(flood.posts(GREAT, 0));
            flood
        }

        /// So many launches a second are posted, so many taken; whether lanes rest then.
        fn posts(&mut self, posted_a_second: u64, taken_a_second: u64) -> bool {
            let over_ms = LOOK_MS;
            self.now += Duration::from_millis(over_ms);
            let of = |launches_a_second: u64| launches_a_second * over_ms / 1_000;
            let measured = Measured { posted: of(posted_a_second), taken: of(taken_a_second), over_ms };
            self.rests.count(self.now, measured);
            self.rests.turn(self.now, measured);
            self.rests.is_on()
        }

        /// How long the rest lasts that is on.
        fn rest(&mut self) -> Duration {
            let begun = self.now;
            while self.posts(GREAT, 0) {}
            self.now - begun
        }

        /// How long lanes read that take so many launches a second, until the next rest.
        fn read(&mut self, taken_a_second: u64) -> Duration {
            let ended = self.now;
            while !self.posts(GREAT, taken_a_second) {
                assert!(self.now - ended < 100 * LONGEST_REST, "{self:?}", self = self.rests);
            }
            self.now - ended
        }
    }

    #[test]
    fn the_first_rest_is_the_longest_and_the_next_follow_the_time_that_reading_takes() {
        let mut flood = Flood::great();
        assert_eq!(flood.rest(), LONGEST_REST);
        // Ten times as quick as callers: a tenth of what came in a second is read in a tenth of a second.
        let read_for = flood.read(10 * GREAT);
        assert!(read_for < LONGEST_REST / 5, "{read_for:?}");
        assert_eq!(flood.rest(), read_for);
        assert_eq!(flood.read(10 * GREAT), Duration::from_millis(LOOK_MS));
        assert_eq!(flood.rest(), Duration::from_millis(LOOK_MS));
    }

    #[test]
    fn no_rest_is_longer_than_the_first() {
        let mut flood = Flood::great();
        assert_eq!(flood.rest(), LONGEST_REST);
        // Hardly quicker than callers.
        let read_for = flood.read(GREAT + GREAT / 10);
        assert!(read_for > LONGEST_REST, "{read_for:?}");
        assert_eq!(flood.rest(), LONGEST_REST);
    }

    #[test]
    fn time_in_which_nothing_was_left_to_read_does_not_make_a_rest_longer() {
        let mut flood = Flood::great();
        flood.rest();
        let read_for = flood.read(10 * GREAT);
        assert_eq!(flood.rest(), read_for);
        for _ in 0..100 {
            assert!(!flood.posts(GREAT - 1_000, 10 * GREAT));
        }
        for _ in 1..RESTS_AFTER {
            assert!(!flood.posts(GREAT, GREAT));
        }
        assert!(flood.posts(GREAT, GREAT));
        assert!(flood.rest() <= read_for);
    }

    #[test]
    fn none_begins_before_all_is_read_that_came_meanwhile() {
        let mut flood = Flood::great();
        flood.rest();
        let unread_before = flood.rests.unread;
        for _ in 0..100 {
            assert!(!flood.posts(GREAT, GREAT));
        }
        assert_eq!(flood.rests.unread, unread_before);
    }

    #[test]
    fn a_rest_ends_with_what_is_posted() {
        let mut flood = Flood::great();
        assert!(flood.posts(FLOOD_LAUNCHES_A_SECOND, 0), "it may be a stall");
        assert!(!flood.posts(FLOOD_LAUNCHES_A_SECOND - 1_000, 0));
    }

    #[test]
    fn none_begins_in_a_lesser_flood_nor_for_what_others_write() {
        let mut flood = Flood::great();
        flood.rests.end(flood.now);
        for _ in 0..100 {
            assert!(!flood.posts(GREAT - 1_000, 10 * GREAT));
            assert!(!flood.posts(0, 10 * GREAT));
        }
    }
}
