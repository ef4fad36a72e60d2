//! Which data of a time zone a program has.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{LazyLock, Mutex, PoisonError},
};

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{CalendarError, CalendarRule};
use crate::{BusinessDate, Digest};

/// The offsets of a zone and when they change, up to the last date that there is, in short. Names of offsets and how a database is
/// written do not count, so that most new databases leave most zones' versions as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZoneVersion(u64);

/// A text is no version: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a zone's version is 16 hexadecimal digits")]
pub struct NoVersion;

impl ZoneVersion {
    /// The version of a zone's data in this program.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn of_this_program(zone: &str) -> Result<Self, CalendarError> {
        let found = TimeZoneDatabase::bundled().get(zone);
        found.map(|found| Self::of(zone, &found)).map_err(|_| CalendarError::UnknownZone(zone.to_owned()))
    }

    /// Looked at once: a zone has hundreds of changes, and many tenants have the same.
    fn of(name: &str, zone: &TimeZone) -> Self {
        static SEEN: LazyLock<Mutex<HashMap<String, ZoneVersion>>> = LazyLock::new(Mutex::default);
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = seen.get(name) {
            return *version;
        }
        let version = Self::of_changes(&changes(zone));
        seen.insert(name.to_owned(), version);
        version
    }

    fn of_changes(changes: &[(i64, i32)]) -> Self {
        let mut bytes = Vec::with_capacity(changes.len() * 12);
        for (second, offset) in changes {
            bytes.extend_from_slice(&second.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        Self(leading(&Digest::of(&bytes)))
    }
}

/// The first eight bytes.
fn leading(digest: &Digest) -> u64 {
    digest.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// When which offset begins, in seconds. The first stands for all time before the second.
fn changes(zone: &TimeZone) -> Vec<(i64, i32)> {
    let end_s = (i64::from(BusinessDate::MAX.days()) + 2) * 86_400;
    let mut changes = vec![(i64::MIN, zone.to_offset(Timestamp::MIN).seconds())];
    let all = zone.following(Timestamp::MIN).map(|change| (change.timestamp().as_second(), change.offset().seconds()));
    for (second, offset) in all.take_while(|(second, _)| *second < end_s) {
        if changes.last().is_some_and(|(_, last)| *last != offset) {
            changes.push((second, offset));
        }
    }
    changes
}

/// Whether the data that a rule's days follow from are this program's.
pub(super) fn is_ours(rule: &CalendarRule, zone: &TimeZone) -> Result<bool, CalendarError> {
    let ours = ZoneVersion::of(&rule.zone, zone);
    match rule.zone_version {
        Some(version) => Ok(version == ours),
        None if is_its_name(&rule.zone) => Ok(true),
        None => Err(CalendarError::MissingVersion { zone: rule.zone.clone(), version: ours }),
    }
}

/// Zones that are defined by their names, so that no database changes them.
fn is_its_name(zone: &str) -> bool {
    zone == "UTC" || zone.starts_with("Etc/")
}

impl fmt::Display for ZoneVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for ZoneVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let is_plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_plain).map(Self).ok_or(NoVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_for_offsets_and_when_they_change() {
        let changes = [(i64::MIN, 0), (0, 3_600), (10, 0)];
        let version = ZoneVersion::of_changes(&changes);
        for (at, other) in [(0, (i64::MIN, 1)), (1, (1, 3_600)), (1, (0, 7_200)), (2, (11, 0))] {
            let mut others = changes;
            others[at] = other;
            assert_ne!(ZoneVersion::of_changes(&others), version, "{other:?}");
        }
        assert_ne!(ZoneVersion::of_changes(&changes[..2]), version);
    }

    #[test]
    fn the_changes_of_a_zone_are_all_that_it_has() {
        let of = |name: &str| changes(&TimeZoneDatabase::bundled().get(name).unwrap());
        assert_eq!(of("Etc/GMT+12"), [(i64::MIN, -43_200)]);
        let tokyo = of("Asia/Tokyo");
        assert_eq!(tokyo.first(), Some(&(i64::MIN, 33_539)), "local mean time");
        assert_eq!(tokyo.last().map(|(_, offset)| *offset), Some(32_400));
        let lisbon = of("Europe/Lisbon");
        let of_2150 = lisbon.iter().filter(|(second, _)| *second / 31_556_952 == 180).count();
        assert_eq!(of_2150, 2, "also where the database has a rule instead of a list");
        assert!(lisbon.is_sorted() && lisbon.windows(2).all(|pair| pair[0].1 != pair[1].1));
    }

    #[test]
    fn versions_are_written_and_read() {
        let version = ZoneVersion::of_this_program("America/Sao_Paulo").unwrap();
        assert_eq!(version.to_string().parse(), Ok(version));
        assert_eq!(ZoneVersion(7).to_string(), "0000000000000007");
        assert_ne!(version, ZoneVersion::of_this_program("Asia/Tokyo").unwrap());
        assert_eq!(
            ZoneVersion::of_this_program("Mars/Olympus").unwrap_err(),
            CalendarError::UnknownZone("Mars/Olympus".to_owned())
        );
        for wrong in ["", "7", "000000000000000g", "+000000000000007", "00000000000000007"] {
            assert_eq!(wrong.parse::<ZoneVersion>(), Err(NoVersion), "{wrong}");
        }
    }
}
