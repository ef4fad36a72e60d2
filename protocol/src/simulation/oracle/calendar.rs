//! Days, counted one by one.

/// A day of the calendar. The order of its fields is the order of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

const FIRST_YEAR: i32 = 1970;

impl Day {
    pub(crate) const fn new(year: i32, month: u32, day: u32) -> Self {
        Self { year, month, day }
    }

    /// `YYYY-MM-DD`.
    pub(crate) fn text(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// Days since 1970-01-01, of a day that is not before.
    pub(crate) fn since_1970(self) -> i32 {
        let years: i32 = (FIRST_YEAR..self.year).map(days_of_year).sum();
        let months: i32 = (1..self.month).map(|month| days_of_month(self.year, month)).sum();
        years + months + i32::try_from(self.day).unwrap_or(1) - 1
    }

    /// The day that many days after 1970-01-01.
    pub(crate) fn after_1970(mut days: i32) -> Self {
        let (mut year, mut month) = (FIRST_YEAR, 1);
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        Self { year, month, day: u32::try_from(days + 1).unwrap_or(1) }
    }

    /// The next day.
    pub(crate) fn next(self) -> Self {
        let Self { year, month, day } = self;
        if i32::try_from(day).unwrap_or(0) < days_of_month(year, month) {
            Self { day: day + 1, ..self }
        } else if month < 12 {
            Self::new(year, month + 1, 1)
        } else {
            Self::new(year + 1, 1, 1)
        }
    }
}

fn is_leap_year(year: i32) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of_year(year: i32) -> i32 {
    if is_leap_year(year) { 366 } else { 365 }
}

fn days_of_month(year: i32, month: u32) -> i32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_up_without_a_gap() {
        let mut day = Day::new(1970, 1, 1);
        for days in 0..60_000 {
            assert_eq!((day.since_1970(), Day::after_1970(days)), (days, day));
            day = day.next();
        }
        assert_eq!(Day::new(2024, 2, 28).next().text(), "2024-02-29");
        assert_eq!(Day::new(2100, 2, 28).next().text(), "2100-03-01");
        assert_eq!(Day::new(2026, 12, 31).next().text(), "2027-01-01");
    }
}
