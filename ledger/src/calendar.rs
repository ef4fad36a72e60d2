//! A tenant's calendar: which business date an instant belongs to.
//!
//! A date begins at the cut-off of its own civil day, in the zone of the rule that is in force for that date. An instant
//! belongs to the **last date that has begun**. So dates never go backwards while time goes on, whatever the rules say; a
//! change of rules, like a zone that skips a day, can leave a date without any instant.
//!
//! | the cut-off on that day | the date begins |
//! |---|---|
//! | exists once | then |
//! | does not exist (clocks are put forward over it) | at the first instant after the gap |
//! | exists twice (clocks are put back over it) | at the earlier one |
//!
//! The time zone database is a part of the program, and another program may have another one: the same instant must not get
//! another date there. So a rule names the [`ZoneVersion`] of its zone, and dates that follow from another version than the
//! program's own are not derived. Of two rules that differ in nothing but the version, the later one holds for instants from 00:00
//! UTC of its date on: of each instant one version alone decides, and every program knows which.

mod version;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use crate::BusinessDate;

pub use version::{NoVersion, ZoneVersion};

/// One rule: from `effective_from` on, days of `zone` that begin at `cut_off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarRule {
    /// The first business date it is in force for.
    pub effective_from: BusinessDate,
    /// IANA name.
    pub zone: String,
    /// Which data of the zone its days follow from. May be left out where a zone's data are its name: `UTC` and `Etc/…`.
    pub zone_version: Option<ZoneVersion>,
    /// Minutes after local midnight at which the business day begins, 0 to 1,439. An instant before the cut-off counts
    /// for the day before.
    pub cut_off_minutes: u16,
}

/// Why rules make no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// No such zone.
    #[error("{0:?} is no IANA time zone")]
    UnknownZone(String),
    /// A zone whose data may be others in another program.
    #[error("the zone {zone:?} needs zone_version = \"{version}\" beside it, the version of its data in this program")]
    MissingVersion {
        /// The zone.
        zone: String,
        /// What this program has.
        version: ZoneVersion,
    },
    /// A cut-off is a time of day.
    #[error("a cut-off is a time of day between 00:00 and 23:59")]
    CutOff,
    /// Two rules for one date.
    #[error("two rules take effect on {0}")]
    Twice(String),
}

/// Why an instant has no business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDate {
    /// The date would be outside the bounds.
    OutOfBounds,
    /// It follows from data of a time zone that this program does not have.
    OtherVersion,
}

/// A tenant's rules in order; before the first one UTC and 00:00 hold.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Sorted by date.
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    effective_from: BusinessDate,
    given: CalendarRule,
    zone: TimeZone,
    cut_off: Time,
    /// From which instant on which version of the zone's data counts: whether it is the program's own.
    versions: Vec<(i128, bool)>,
}

const DAY_NS: i128 = 86_400_000_000_000;

/// A date begins at the earliest a day and some hours before midnight UTC of its name, and at the latest, with a cut-off at
/// 23:59 west of Greenwich in a zone that skips a day, three days after it. So these dates around an instant's UTC date
/// hold its business date.
const DATES_AHEAD: i32 = 2;
const DATES_BEHIND: i32 = 4;
/// No clock on earth is set further ahead of Greenwich, whatever a database says: [`Offset`] has no more.
const EASTERNMOST_NS: i128 = 26 * 3_600_000_000_000;

impl Calendar {
    /// UTC, days that begin at 00:00.
    pub fn utc() -> Self {
        Self { rules: Vec::new() }
    }

    /// Checks the rules and sorts them. Zones come from the time zone database that is part of the program.
    ///
    /// # Errors
    /// See [`CalendarError`].
    pub fn new(mut rules: Vec<CalendarRule>) -> Result<Self, CalendarError> {
        rules.sort_by_key(|rule| rule.effective_from);
        if let Some(pair) = rules.windows(2).find(|pair| pair[0].effective_from == pair[1].effective_from) {
            return Err(CalendarError::Twice(pair[0].effective_from.to_string()));
        }
        let zones = TimeZoneDatabase::bundled();
        let mut calendar = Self { rules: Vec::with_capacity(rules.len()) };
        for rule in rules {
            calendar.push(Rule::new(rule, &zones)?);
        }
        Ok(calendar)
    }

    /// Appends a rule; one that is another version of the last is a part of it.
    fn push(&mut self, rule: Rule) {
        match self.rules.last_mut() {
            Some(last) if last.differs_in_version_only(&rule) => {
                let midnight_ns = i128::from(rule.effective_from.days()) * DAY_NS;
                last.versions.extend(rule.versions.into_iter().map(|(_, is_ours)| (midnight_ns, is_ours)));
            }
            _ => self.rules.push(rule),
        }
    }

    /// The business date of an instant in nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// It has none, or none that this program knows.
    pub fn business_date(&self, instant_ns: i128) -> Result<BusinessDate, NoDate> {
        let utc_days = i32::try_from(instant_ns.div_euclid(DAY_NS)).map_err(|_| NoDate::OutOfBounds)?;
        let is_near =
            (BusinessDate::MIN.days() - DATES_AHEAD..=BusinessDate::MAX.days() + DATES_BEHIND).contains(&utc_days);
        if !is_near {
            return Err(NoDate::OutOfBounds);
        }
        for days in (utc_days - DATES_BEHIND..=utc_days + DATES_AHEAD).rev() {
            if self.has_begun(days, instant_ns)? {
                return BusinessDate::from_days(days).ok_or(NoDate::OutOfBounds);
            }
        }
        Err(NoDate::OutOfBounds)
    }

    /// Whether the date of that many days after 1970-01-01 has begun; also just outside the bounds, to find them.
    fn has_begun(&self, days: i32, instant_ns: i128) -> Result<bool, NoDate> {
        let midnight_ns = i128::from(days) * DAY_NS;
        let following = self.rules.partition_point(|rule| rule.effective_from.days() <= days);
        match following.checked_sub(1).and_then(|index| self.rules.get(index)) {
            None => Ok(midnight_ns <= instant_ns),
            Some(_) if instant_ns < midnight_ns - EASTERNMOST_NS => Ok(false),
            Some(rule) if !rule.is_ours(instant_ns) => Err(NoDate::OtherVersion),
            Some(rule) => Ok(rule.beginning_ns(days).is_some_and(|beginning| beginning <= instant_ns)),
        }
    }
}

impl Rule {
    fn new(rule: CalendarRule, zones: &TimeZoneDatabase) -> Result<Self, CalendarError> {
        let hour = i8::try_from(rule.cut_off_minutes / 60).map_err(|_| CalendarError::CutOff)?;
        let minute = i8::try_from(rule.cut_off_minutes % 60).map_err(|_| CalendarError::CutOff)?;
        let cut_off = Time::new(hour, minute, 0, 0).map_err(|_| CalendarError::CutOff)?;
        let zone = zones.get(&rule.zone).map_err(|_| CalendarError::UnknownZone(rule.zone.clone()))?;
        let is_ours = version::is_ours(&rule, &zone)?;
        let effective_from = rule.effective_from;
        Ok(Self { effective_from, given: rule, zone, cut_off, versions: vec![(i128::MIN, is_ours)] })
    }

    fn differs_in_version_only(&self, other: &Self) -> bool {
        self.given.zone == other.given.zone && self.cut_off == other.cut_off
    }

    /// Whether the version of the zone's data that counts for an instant is the program's own.
    fn is_ours(&self, instant_ns: i128) -> bool {
        self.versions.iter().rfind(|(from_ns, _)| *from_ns <= instant_ns).is_some_and(|(_, is_ours)| *is_ours)
    }

    fn beginning_ns(&self, days: i32) -> Option<i128> {
        let local = civil_date(days)?.to_datetime(self.cut_off);
        let instant = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => timestamp(local, offset)?,
            AmbiguousOffset::Fold { before, .. } => timestamp(local, before)?,
            AmbiguousOffset::Gap { after, .. } => self.end_of_gap(local, after)?,
        };
        Some(instant.as_nanosecond())
    }

    /// The instant at which clocks are put forward over `local`: read with the later offset, `local` lies before it.
    fn end_of_gap(&self, local: DateTime, after: Offset) -> Option<Timestamp> {
        let before_the_gap = timestamp(local, after)?;
        self.zone.following(before_the_gap).next().map(|transition| transition.timestamp())
    }
}

fn civil_date(days: i32) -> Option<Date> {
    let (year, month, day) = crate::date::civil_from_days(days);
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn timestamp(local: DateTime, offset: Offset) -> Option<Timestamp> {
    offset.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests;
