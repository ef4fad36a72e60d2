//! A circuit breaker: stop asking what does not answer, and find out cheaply when it does again.

use crate::backoff::doubled_delay;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open it; 0 counts as 1.
    pub failures_to_open: u32,
    /// How long it stays open at first, in milliseconds; doubled with each trial that fails.
    pub open_ms: u64,
    /// The longest that it stays open without a trial, in milliseconds.
    pub max_open_ms: u64,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing before a time.
    Open,
    /// One trial: its outcome closes or opens the breaker.
    HalfOpen,
}

/// A pure state machine: time is an argument, in milliseconds of any clock that does not go back.
///
/// | state | what moves it |
/// |---|---|
/// | closed | `failures_to_open` failures in a row → open |
/// | open | `open_ms` later (twice that after each failed trial, up to `max_open_ms`) the first `allows` → half-open |
/// | half-open | nothing else is allowed; success → closed, failure → open |
///
/// A success closes it from any state: whatever succeeded proves more than a timer. A trial whose outcome nobody reports
/// is given up after another `open_ms`, so that a cancelled caller cannot leave the breaker half-open for ever.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    state: BreakerState,
    failures: u32,
    failed_trials: usize,
    until_ms: u64,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: BreakerState::Closed, failures: 0, failed_trials: 0, until_ms: 0 }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may be made now. In the half-open state only the first asker may.
    pub fn allows(&mut self, now_ms: u64) -> bool {
        if self.state == BreakerState::Closed {
            return true;
        }
        let due = now_ms >= self.until_ms;
        if due {
            self.state = BreakerState::HalfOpen;
            self.until_ms = now_ms.saturating_add(self.open_ms());
        }
        due
    }

    /// A call succeeded.
    pub fn on_success(&mut self) {
        *self = Self::new(self.settings);
    }

    /// A call failed in a way that speaks against the other side.
    pub fn on_failure(&mut self, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            BreakerState::Closed if self.failures < self.settings.failures_to_open => {}
            BreakerState::Closed => self.open(now_ms),
            BreakerState::HalfOpen => {
                self.failed_trials = self.failed_trials.saturating_add(1);
                self.open(now_ms);
            }
            BreakerState::Open => {}
        }
    }

    /// How long a caller that was refused should wait, in milliseconds; 0 when calls are allowed.
    pub fn retry_after_ms(&self, now_ms: u64) -> u64 {
        match self.state {
            BreakerState::Closed => 0,
            BreakerState::Open | BreakerState::HalfOpen => self.until_ms.saturating_sub(now_ms),
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.state = BreakerState::Open;
        self.until_ms = now_ms.saturating_add(self.open_ms());
    }

    fn open_ms(&self) -> u64 {
        let delay = doubled_delay(self.failed_trials, self.settings.open_ms, self.settings.max_open_ms);
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings { failures_to_open: 3, open_ms: 100, max_open_ms: 300 };

    fn opened_at(now_ms: u64) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(SETTINGS);
        for _ in 0..3 {
            breaker.on_failure(now_ms);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = CircuitBreaker::new(SETTINGS);
        breaker.on_failure(0);
        breaker.on_failure(0);
        breaker.on_success();
        breaker.on_failure(0);
        breaker.on_failure(0);
        assert!(breaker.allows(0));
        breaker.on_failure(0);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.allows(99));
        assert_eq!(breaker.retry_after_ms(40), 60);
    }

    #[test]
    fn one_trial_decides() {
        let mut breaker = opened_at(0);
        assert!(breaker.allows(100), "the trial");
        assert!(!breaker.allows(100), "only one");
        breaker.on_success();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.allows(100));
    }

    #[test]
    fn failed_trials_wait_longer_and_longer() {
        let mut breaker = opened_at(0);
        assert!(breaker.allows(100));
        breaker.on_failure(100);
        assert!(!breaker.allows(299));
        assert!(breaker.allows(300));
        breaker.on_failure(300);
        assert!(!breaker.allows(599), "never longer than max_open_ms");
        assert!(breaker.allows(600));
    }

    #[test]
    fn a_trial_without_outcome_is_given_up() {
        let mut breaker = opened_at(0);
        assert!(breaker.allows(100));
        assert!(!breaker.allows(150));
        assert!(breaker.allows(200));
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_longer_than_the_maximum(steps in proptest::collection::vec((0_u64..200, 0_u8..3), 1..200)) {
            let mut breaker = CircuitBreaker::new(SETTINGS);
            let mut now_ms = 0;
            for (passed_ms, step) in steps {
                now_ms += passed_ms;
                match step {
                    0 => breaker.on_failure(now_ms),
                    1 => breaker.on_success(),
                    _ => { breaker.allows(now_ms); }
                }
                prop_assert!(breaker.retry_after_ms(now_ms) <= SETTINGS.max_open_ms);
                prop_assert!(breaker.clone().allows(now_ms + SETTINGS.max_open_ms));
            }
        }
    }
}
