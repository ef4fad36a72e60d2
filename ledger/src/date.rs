//! Business dates.

use std::borrow::Cow;
use std::fmt;

/// A calendar day of the proleptic Gregorian calendar between [`BusinessDate::MIN`] and [`BusinessDate::MAX`], held as
/// days since 1970-01-01. Its text is always `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessDate(i32);

/// A text or number that is no business date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a date is written YYYY-MM-DD and lies between 1900-01-01 and 2199-12-31")]
pub struct DateError;

impl BusinessDate {
    /// 1900-01-01.
    pub const MIN: Self = Self(-25_567);
    /// 2199-12-31.
    pub const MAX: Self = Self(84_005);

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// Another form, no day of the calendar, or outside the bounds.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *text.as_bytes() else { return Err(DateError) };
        let year = number(&[y3, y2, y1, y0]).ok_or(DateError)?;
        let month = number(&[m1, m0]).ok_or(DateError)?;
        let day = number(&[d1, d0]).ok_or(DateError)?;
        let is_a_day = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        if !is_a_day {
            return Err(DateError);
        }
        Self::from_days(days_from_civil(year, month, day)).ok_or(DateError)
    }

    /// The date that many days after 1970-01-01, if it is within the bounds.
    pub fn from_days(days: i32) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&days).then_some(Self(days))
    }

    /// Days since 1970-01-01; negative before.
    pub fn days(self) -> i32 {
        self.0
    }

    /// The year, the month (1 to 12) and the day of the month (1 to 31).
    pub fn year_month_day(self) -> (i32, i32, i32) {
        civil_from_days(self.0)
    }

    /// The first day of its month.
    pub fn first_of_month(self) -> Self {
        let (_, _, day) = self.year_month_day();
        Self(self.0 - (day - 1))
    }

    /// The last day of its month.
    pub fn last_of_month(self) -> Self {
        let (year, month, day) = self.year_month_day();
        Self(self.0 + days_in_month(year, month) - day)
    }

    /// The next day, unless it is [`Self::MAX`].
    pub fn next(self) -> Option<Self> {
        Self::from_days(self.0 + 1)
    }

    /// The day before, unless it is [`Self::MIN`].
    pub fn previous(self) -> Option<Self> {
        Self::from_days(self.0 - 1)
    }

    /// The ten bytes of `YYYY-MM-DD`.
    pub(crate) fn text(self) -> [u8; 10] {
        let (year, month, day) = self.year_month_day();
        let mut text = *b"0000-00-00";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        text
    }
}

/// The number that ASCII `digits` write, or `None` if one of them is none.
pub(crate) fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0')))
}

fn write_digits(text: &mut [u8], mut value: i32) {
    for byte in text.iter_mut().rev() {
        let digit = u8::try_from(value % 10).unwrap_or_default();
        *byte = b'0' + digit;
        value /= 10;
    }
}

/// Days of a month (1 to 12) of the proleptic Gregorian calendar.
pub(crate) fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is the last one: then the days before a month
/// are a linear function of it.
pub(crate) fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_OF_400_YEARS + day_of_era - DAYS_FROM_YEAR_0_TO_1970
}

const DAYS_OF_400_YEARS: i32 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_FROM_YEAR_0_TO_1970: i32 = 719_468;

/// Year, month (1 to 12) and day of the month of that many days after 1970-01-01.
pub(crate) fn civil_from_days(days: i32) -> (i32, i32, i32) {
    let days = days + DAYS_FROM_YEAR_0_TO_1970;
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i32::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for BusinessDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for BusinessDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for BusinessDate {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, DateError> {
        Self::parse(text)
    }
}

impl serde::Serialize for BusinessDate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for BusinessDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_one_text_and_agrees_with_jiff() {
        let mut day = jiff::civil::date(1900, 1, 1);
        for days in BusinessDate::MIN.days()..=BusinessDate::MAX.days() {
            let date = BusinessDate::from_days(days).unwrap();
            assert_eq!(date.to_string(), day.to_string());
            assert_eq!(BusinessDate::parse(&date.to_string()), Ok(date));
            assert_eq!(date.first_of_month().to_string(), day.first_of_month().to_string());
            assert_eq!(date.last_of_month().to_string(), day.last_of_month().to_string());
            day = day.tomorrow().unwrap();
        }
        assert_eq!(BusinessDate::MAX.to_string(), "2199-12-31");
        assert_eq!(BusinessDate::MAX.next(), None);
        assert_eq!(BusinessDate::MIN.previous(), None);
    }

    #[test]
    fn other_forms_and_days_that_do_not_exist_are_refused() {
        let refused = [
            "",
            "2026-11-2",
            "2026-11-022",
            "2026/11/22",
            "20261122",
            "2026-11-22 ",
            " 2026-11-22",
            "2026-1a-22",
            "2026-13-01",
            "2026-00-01",
            "2026-11-31",
            "2026-11-00",
            "2026-02-29",
            "2100-02-29",
            "1899-12-31",
            "2200-01-01",
            "+026-11-22",
            "2026-11-22T00:00:00Z",
            "２026-11-22",
            "-2026-1-22",
            "0000-00-00",
        ];
        for text in refused {
            assert_eq!(BusinessDate::parse(text), Err(DateError), "{text:?}");
        }
        assert!(BusinessDate::parse("2024-02-29").is_ok());
        assert!(BusinessDate::parse("2000-02-29").is_ok());
    }

    #[test]
    fn json_holds_the_text() {
        let date: BusinessDate = serde_json::from_str("\"2026-11-22\"").unwrap();
        assert_eq!(serde_json::to_string(&date).unwrap(), "\"2026-11-22\"");
        assert!(serde_json::from_str::<BusinessDate>("\"2026-11-32\"").is_err());
        assert!(serde_json::from_str::<BusinessDate>("20000").is_err());
        assert_eq!(format!("{date:>12}|{date:?}"), "  2026-11-22|2026-11-22");
    }
}
