//! Versions as programs print them.

use std::fmt;

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The first version in a text such as `nats-server: v2.15.1` or `Python 3.13.5`.
pub fn version_in(text: &str) -> Option<Version> {
    text.split_whitespace().find_map(|word| parse(word.trim_start_matches("go").trim_start_matches('v')))
}

/// `2.15.1`, also with something behind it, as in `2.15.0-RC.1`.
fn parse(word: &str) -> Option<Version> {
    let plain = word.split(['-', '+', ',']).next().unwrap_or(word);
    let mut numbers = plain.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let patch = numbers.next().map_or(Some(0), Result::ok)?;
    Some(Version(major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version_in("nats-server: v2.15.1"), Some(Version(2, 15, 1)));
        assert_eq!(version_in("v0.4.0\n"), Some(Version(0, 4, 0)));
        assert_eq!(version_in("go version go1.26.8 linux/amd64"), Some(Version(1, 26, 8)));
        assert_eq!(version_in("nats-server: v2.12.0-RC.3"), Some(Version(2, 12, 0)));
        assert_eq!(version_in("rustc 1.95.0 (59807616e 2026-04-14)"), Some(Version(1, 95, 0)));
        assert_eq!(version_in("no version here"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version(2, 9, 25) < Version(2, 12, 0));
        assert!(Version(2, 15, 1) >= Version(2, 12, 0));
    }
}
