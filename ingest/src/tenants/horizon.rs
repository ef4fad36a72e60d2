//! How far ahead days are derived, and from when on rules may change: a launch has the same day whenever it is repeated.
//!
//! | | |
//! |---|---|
//! | a day is derived at `t` | only from instants before 10:00 UTC of the day after `t` |
//! | a change that is read at `t` | begins at the earliest on the second day after `t` and the bound of stale settings |
//! | so a change | was read before any date that it moves had begun for an instant that was derived without it |
//!
//! For at its earliest a date begins at 00:00 fourteen hours east of Greenwich, at 10:00 UTC of the day before. That the
//! derived date lies before the change would not do: a cut-off late in the day, west of Greenwich, ends dates up to a day and
//! a half after their name, and instants of that time belong to another date under rules without it. No other
//! instance derives from older settings for longer than the bound.

use ledger::BusinessDate;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// No zone is further ahead of Greenwich.
const EASTERNMOST_MS: i64 = 14 * HOUR_MS;

/// The instant before which days are derived at `now_ms`, in nanoseconds since 1970: the earliest at which any date that may
/// still be changed can begin.
pub(super) fn derived_before_ns(now_ms: i64) -> i128 {
    let begins_ms = (i128::from(now_ms.div_euclid(DAY_MS)) + 2) * i128::from(DAY_MS) - i128::from(EASTERNMOST_MS);
    begins_ms * 1_000_000
}

/// The first date on which a change that is read at `now_ms` may take effect.
pub(super) fn earliest_change(now_ms: i64, stale_ms: u64) -> BusinessDate {
    let latest_reading_ms = now_ms.saturating_add(i64::try_from(stale_ms).unwrap_or(DAY_MS));
    let today = i32::try_from(latest_reading_ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
    BusinessDate::from_days(today.saturating_add(2)).unwrap_or(BusinessDate::MAX)
}
