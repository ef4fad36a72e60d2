//! The arithmetic of figures, in integers: rates, ratios, percentiles.

use std::time::Duration;

use serde::Serialize;

/// Per second, rounded down. Nothing in no time is nothing.
pub fn rate(count: u64, elapsed: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// How many hundredths of `reference` a figure is, rounded down; `None` without a reference to divide by.
pub fn hundredths(figure: u64, reference: u64) -> Option<u64> {
    let hundredths = (u128::from(figure) * 100).checked_div(u128::from(reference))?;
    Some(u64::try_from(hundredths).unwrap_or(u64::MAX))
}

/// Percentiles of latencies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50_us: u64,
    /// 90 of 100 are not longer.
    pub p90_us: u64,
    /// 99 of 100 are not longer.
    pub p99_us: u64,
    /// 999 of 1,000 are not longer.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Latency {
    /// Percentiles of all of them; `None` when nothing was measured.
    pub fn of(mut latencies_us: Vec<u64>) -> Option<Self> {
        latencies_us.sort_unstable();
        let at = |of_thousand| nearest_rank(&latencies_us, of_thousand);
        Some(Self {
            count: u64::try_from(latencies_us.len()).unwrap_or(u64::MAX),
            p50_us: at(500)?,
            p90_us: at(900)?,
            p99_us: at(990)?,
            p999_us: at(999)?,
            max_us: at(1_000)?,
        })
    }
}

/// The smallest value that at least `of_thousand` thousandths of all do not exceed: a measured value, never one in between.
fn nearest_rank(sorted: &[u64], of_thousand: usize) -> Option<u64> {
    let rank = (sorted.len() * of_thousand).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate(10, Duration::from_secs(2)), 5);
        assert_eq!(rate(1, Duration::from_micros(250)), 4_000);
        assert_eq!(rate(u64::MAX, Duration::from_nanos(1)), u64::MAX);
        assert_eq!(rate(0, Duration::ZERO), 0);
    }

    #[test]
    fn ratios_are_hundredths() {
        assert_eq!(hundredths(25, 10), Some(250));
        assert_eq!(hundredths(1, 3), Some(33));
        assert_eq!(hundredths(1, 0), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let latency = Latency::of((1..=1_000).rev().collect()).unwrap();
        let expected = Latency { count: 1_000, p50_us: 500, p90_us: 900, p99_us: 990, p999_us: 999, max_us: 1_000 };
        assert_eq!(latency, expected);
        let few = Latency::of(vec![7, 3, 5]).unwrap();
        assert_eq!((few.p50_us, few.p90_us, few.p999_us, few.max_us), (5, 7, 7, 7));
        assert_eq!(Latency::of(vec![4]).unwrap().p50_us, 4);
        assert_eq!(Latency::of(Vec::new()), None);
    }
}
