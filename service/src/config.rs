//! Configuration: `SALDO_…` variables, read once at start and checked with sentences that name the variable.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr};

/// A variable whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}: {expected}")]
pub struct ConfigError {
    /// The variable.
    pub name: String,
    /// What it holds.
    pub value: String,
    /// What was expected instead, as a sentence.
    pub expected: String,
}

/// The variables of the process, or of a test. An empty value counts as absent, so that a compose file may pass one
/// through without setting it.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// The variables of this process whose names begin with `SALDO_`. The binary refuses values that are not UTF-8 before it
    /// reads any; a test's have their bad bytes replaced.
    pub fn of_process() -> Self {
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("SALDO_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self { values: ours.collect() }
    }

    /// Given pairs instead of the process: for tests and for arguments that stand in for variables.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { values: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// The text of a variable, if it is set and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// The variable read by `FromStr`, or `default` when it is absent.
    ///
    /// # Errors
    /// It is set and cannot be read.
    pub fn parsed<T: FromStr<Err: Display>>(&self, name: &str, default: T) -> Result<T, ConfigError> {
        let Some(value) = self.text(name) else { return Ok(default) };
        value.parse().map_err(|error: T::Err| self.error(name, error.to_string()))
    }

    /// A number within bounds, or `default` when the variable is absent.
    ///
    /// # Errors
    /// It is set and is no number within the bounds.
    pub fn number<N: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        default: N,
        bounds: RangeInclusive<N>,
    ) -> Result<N, ConfigError> {
        let Some(value) = self.text(name) else { return Ok(default) };
        value.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            self.error(name, format!("expected a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// The error for a value that was read but cannot be used.
    pub fn error(&self, name: &str, expected: impl Into<String>) -> ConfigError {
        let value = self.text(name).unwrap_or_default().to_owned();
        ConfigError { name: name.to_owned(), value, expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_values_give_the_default() {
        let variables = Variables::of_pairs([("SALDO_EMPTY", "")]);
        assert_eq!(variables.number("SALDO_EMPTY", 7_u16, 1..=9), Ok(7));
        assert_eq!(variables.number("SALDO_ABSENT", 7_u16, 1..=9), Ok(7));
        assert_eq!(variables.path("SALDO_EMPTY"), None);
    }

    #[test]
    fn a_bad_value_is_named_with_what_was_expected() {
        let variables = Variables::of_pairs([("SALDO_PORT", "many"), ("SALDO_SIZE", "10")]);
        let message = variables.number("SALDO_PORT", 1_u16, 0..=65_535).unwrap_err().to_string();
        assert_eq!(message, "SALDO_PORT is \"many\": expected a whole number from 0 to 65535");
        assert!(variables.number("SALDO_SIZE", 1_u8, 1..=9).is_err());
        assert!(variables.parsed("SALDO_PORT", std::net::Ipv4Addr::LOCALHOST).is_err());
    }
}
