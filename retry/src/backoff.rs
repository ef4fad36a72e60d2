//! Delays that grow from attempt to attempt.

use std::time::Duration;

use ::backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

/// Each delay is about twice the one before.
const MULTIPLIER: f64 = 2.0;
/// Each delay is spread by this share to either side, so that many waiters do not come back at one moment.
const SPREAD: f64 = 0.3;

/// Exponentially growing delays with jitter: about `initial_ms`, then twice that, never more than `max_ms`.
#[derive(Debug)]
pub struct Backoff {
    delays: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Starts at `initial_ms` and grows up to `max_ms`.
    pub fn new(initial_ms: u64, max_ms: u64) -> Self {
        let max = Duration::from_millis(max_ms.max(1));
        let delays = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(initial_ms.max(1)).min(max))
            .with_max_interval(max)
            .with_multiplier(MULTIPLIER)
            .with_randomization_factor(SPREAD)
            .with_max_elapsed_time(None)
            .build();
        Self { delays, max }
    }

    /// How long to wait before the next attempt; the one after waits longer.
    pub fn next_delay(&mut self) -> Duration {
        self.delays.next_backoff().map_or(self.max, |delay| delay.min(self.max))
    }

    /// Something worked: the next delay is the first again.
    pub fn reset(&mut self) {
        self.delays.reset();
    }
}

/// The delay before attempt number `attempt` (from 0) without jitter and without state, for callers that are told the
/// number of the attempt: `initial_ms` doubled `attempt` times, at most `max_ms`.
pub fn doubled_delay(attempt: usize, initial_ms: u64, max_ms: u64) -> Duration {
    let doublings = u32::try_from(attempt).unwrap_or(u32::MAX);
    let factor = 2_u64.checked_pow(doublings).unwrap_or(u64::MAX);
    Duration::from_millis(initial_ms.saturating_mul(factor).min(max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_the_maximum_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(100, 1_000);
        let first = backoff.next_delay();
        assert!(first >= Duration::from_millis(70) && first <= Duration::from_millis(131), "{first:?}");
        let last = (0..20).fold(first, |_, _| backoff.next_delay());
        assert!(last >= Duration::from_millis(700) && last <= Duration::from_millis(1_000), "{last:?}");
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(131));
    }

    #[test]
    fn an_initial_delay_above_the_maximum_is_the_maximum() {
        let mut backoff = Backoff::new(5_000, 10);
        assert!((0..50).all(|_| backoff.next_delay() <= Duration::from_millis(10)));
    }

    #[test]
    fn doubling_saturates() {
        assert_eq!(doubled_delay(0, 10, 500), Duration::from_millis(10));
        assert_eq!(doubled_delay(3, 10, 500), Duration::from_millis(80));
        assert_eq!(doubled_delay(usize::MAX, 10, 500), Duration::from_millis(500));
    }
}
