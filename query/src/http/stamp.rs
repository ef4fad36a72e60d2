//! Position, applied time and completeness as texts: headers of every answer, and the end of a day's JSON.

use axum::http::HeaderValue;
use bytes::Bytes;
use ledger::BusinessDate;
use protocol::{log::LogName, position::Position, query::Stamp};

const DAY_MS: i64 = 86_400_000;

/// A stamp in the forms in which it is sent. Made once for each change of the stamp, not for each answer.
#[derive(Clone, Debug)]
pub(crate) struct RenderedStamp {
    /// What it was made from, for one lane.
    pub(crate) stamp: Stamp,
    /// `Saldo-Position`.
    pub(crate) position: HeaderValue,
    /// `Saldo-Applied-At`.
    pub(crate) applied_at: HeaderValue,
    /// `Saldo-Complete`.
    pub(crate) complete: HeaderValue,
    /// `"position":…,"applied_at":…,"complete":…}`: the end of an object.
    pub(crate) tail: Bytes,
}

impl RenderedStamp {
    /// Renders the stamp of one lane.
    pub(crate) fn of_lane(log: LogName, partition: u16, stamp: Stamp) -> Self {
        Self::new(&Position::of_lane(log, partition, stamp.position), stamp)
    }

    /// Renders a position that covers several lanes. Its time is the oldest of the lanes that have any, and it is
    /// complete if all are, so that it never looks fresher than one of them.
    pub(crate) fn of_lanes(log: LogName, stamps: &[(u16, Stamp)]) -> Self {
        let lanes = stamps.iter().map(|(partition, stamp)| (*partition, stamp.position)).collect();
        let times = stamps.iter().filter(|(_, stamp)| stamp.position > 0).map(|(_, stamp)| stamp.time_ms);
        let stamp = Stamp {
            position: 0,
            time_ms: times.min().unwrap_or(0),
            complete: stamps.iter().all(|(_, stamp)| stamp.complete),
        };
        Self::new(&Position { log, lanes }, stamp)
    }

    fn new(position: &Position, stamp: Stamp) -> Self {
        let (position, applied_at) = (position.to_string(), rfc3339(stamp.time_ms));
        let complete = if stamp.complete { "true" } else { "false" };
        let tail = format!("\"position\":\"{position}\",\"applied_at\":\"{applied_at}\",\"complete\":{complete}}}");
        Self {
            stamp,
            position: header(position),
            applied_at: header(applied_at),
            complete: HeaderValue::from_static(complete),
            tail: tail.into(),
        }
    }
}

/// The business date of a log time, in UTC: near which most launches lie. Times outside the bounds give the nearest date.
pub(crate) fn date_of(time_ms: i64) -> BusinessDate {
    let days = time_ms.div_euclid(DAY_MS);
    let bounded = days.clamp(i64::from(BusinessDate::MIN.days()), i64::from(BusinessDate::MAX.days()));
    i32::try_from(bounded).ok().and_then(BusinessDate::from_days).unwrap_or(BusinessDate::MIN)
}

/// `2026-11-22T10:00:00.123Z`. Where nothing is applied yet the time is that of 1970.
fn rfc3339(time_ms: i64) -> String {
    let of_day = time_ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", date_of(time_ms))
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use protocol::log::Incarnation;

    use super::*;

    fn log(epoch: u8) -> LogName {
        LogName { epoch, incarnation: Incarnation::of("a") }
    }

    #[test]
    fn times_are_written_with_milliseconds_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_341_600_123), "2026-11-22T10:00:00.123Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn several_lanes_are_as_old_as_the_oldest_that_has_anything() {
        let stamp = |position, time_ms, complete| Stamp { position, time_ms, complete };
        let lanes = [(0, stamp(7, 5_000, true)), (1, stamp(0, 0, true)), (2, stamp(9, 4_000, false))];
        let rendered = RenderedStamp::of_lanes(log(3), &lanes);
        assert_eq!(rendered.position, format!("{}.0.7-1.0-2.9", log(3)));
        assert_eq!(rendered.applied_at, "1970-01-01T00:00:04.000Z");
        assert_eq!(rendered.complete, "false");
    }

    #[test]
    fn the_tail_ends_an_object() {
        let rendered = RenderedStamp::of_lane(log(1), 2, Stamp { position: 5, time_ms: 1, complete: true });
        let text = [b"{".as_slice(), &rendered.tail].concat();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["position"], format!("{}.2.5", log(1)));
        assert_eq!(value["applied_at"], "1970-01-01T00:00:00.001Z");
        assert_eq!(value["complete"], true);
    }
}
