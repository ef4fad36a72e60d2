//! RFC 3339 times with an offset.

use crate::date::{days_from_civil, days_in_month, number};

const NANOSECONDS_OF_A_SECOND: i128 = 1_000_000_000;
const FRACTION_DIGITS: usize = 9;

/// Nanoseconds since 1970-01-01T00:00:00Z of an RFC 3339 time such as `2026-11-22T10:00:00.5-03:00`.
///
/// `T` and `Z` may be lower case. Digits below a nanosecond are cut. A leap second (`:60`) counts as the second before it.
/// `None`: it is not of that form, or no such day or time of day exists.
pub(super) fn parse(text: &str) -> Option<i128> {
    let (date_time, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0, b'T' | b't', hour @ .., b':', n1, n0, b':', s1, s0] = date_time
    else {
        return None;
    };
    let days = days(number(&[*y3, *y2, *y1, *y0])?, number(&[*m1, *m0])?, number(&[*d1, *d0])?)?;
    let second_of_day = time_of_day(number(hour)?, number(&[*n1, *n0])?, number(&[*s1, *s0])?)?;
    let (fraction_ns, offset) = split_fraction(rest)?;
    let seconds = i64::from(days) * 86_400 + i64::from(second_of_day) - i64::from(offset_seconds(offset)?);
    Some(i128::from(seconds) * NANOSECONDS_OF_A_SECOND + i128::from(fraction_ns))
}

fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let exists = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    exists.then(|| days_from_civil(year, month, day))
}

fn time_of_day(hour: i32, minute: i32, second: i32) -> Option<i32> {
    let exists = hour <= 23 && minute <= 59 && second <= 60;
    exists.then(|| hour * 3_600 + minute * 60 + second.min(59))
}

/// The fraction of a second in nanoseconds, and what follows it.
fn split_fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let [b'.', fraction @ ..] = text else { return Some((0, text)) };
    let end = fraction.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
    let (digits, rest) = fraction.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let mut nanoseconds = [b'0'; FRACTION_DIGITS];
    let kept = digits.len().min(FRACTION_DIGITS);
    nanoseconds[..kept].copy_from_slice(&digits[..kept]);
    Some((number(&nanoseconds)?, rest))
}

/// Seconds east of Greenwich of `Z` or `±hh:mm`.
fn offset_seconds(text: &[u8]) -> Option<i32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let seconds = time_of_day(number(&[h1, h0])?, number(&[m1, m0])?, 0)?;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("1970-01-01T00:00:00.5+00:00", 500_000_000),
            ("1970-01-01T00:00:00.1234567891Z", 123_456_789),
            ("1970-01-01T03:00:00+03:00", 0),
            ("1969-12-31T21:00:00-03:00", 0),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000_000_000),
            ("2026-11-22T10:00:00-03:00", 1_795_352_400_000_000_000),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let refused = [
            "",
            "2026-11-22",
            "2026-11-22T10:00:00",
            "2026-11-22 10:00:00Z",
            "2026-11-22T10:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-11-22T10:00:61Z",
            "2026-02-29T10:00:00Z",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T10:00:00,5Z",
            "2026-11-22T10:00:00+3",
            "2026-11-22T10:00:00+0300",
            "2026-11-22T10:00:00+24:00",
            "2026-11-22T10:00:00+03:60",
            "2026-11-22T10:00:00Z ",
            " 2026-11-22T10:00:00Z",
            "2026-11-22T1a:00:00Z",
            "+2026-11-22T10:00:00Z",
            "2026-11-22T10:00:00−03:00",
            "2026-13-01T10:00:00Z",
            "2026-00-01T10:00:00Z",
            "2026-11-22T10:00:00Z[UTC]",
        ];
        for text in refused {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn times_agree_with_jiff(
            text in "(0[0-9]{3}|1[89][0-9]{2}|2[0-9]{3})-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])"
        ) {
            let theirs: Option<i128> = text.parse::<jiff::Timestamp>().ok().map(|instant| instant.as_nanosecond());
            prop_assert_eq!(parse(&text), theirs);
        }
    }
}
