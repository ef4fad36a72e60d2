//! Positions as callers see them: one opaque string that may cover several lanes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::log::{Incarnation, LogName};

/// How far something has been applied: of which log, and a sequence for each lane it covers.
///
/// Text form: `<epoch>.<incarnation>.<partition>.<sequence>`, further lanes as
/// `-<partition>.<sequence>`, partitions ascending: safe in headers and URLs. To callers it is
/// opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The log.
    pub log: LogName,
    /// Sequence by partition; at least one.
    pub lanes: BTreeMap<u16, u64>,
}

/// Why a text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// No version has given it out.
    #[error("not a position that this service gave out")]
    Malformed,
    /// A release gave it out whose positions did not name the log's incarnation: nobody knows which
    /// log it was.
    #[error("the position does not say of which log it is: it was given out by an earlier version")]
    WithoutIncarnation,
}

/// The position of a write: of one lane. Its text is that of the [`Position`] which covers this
/// lane alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePosition {
    /// The log.
    pub log: LogName,
    /// The lane.
    pub partition: u16,
    /// Stream sequence in it.
    pub sequence: u64,
}

impl fmt::Display for LanePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, partition, sequence } = self;
        write!(formatter, "{log}.{partition}.{sequence}")
    }
}

impl Position {
    /// The position of one lane.
    pub fn of_lane(log: LogName, partition: u16, sequence: u64) -> Self {
        Self { log, lanes: BTreeMap::from([(partition, sequence)]) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.log)?;
        let mut separator = '.';
        for (partition, sequence) in &self.lanes {
            write!(formatter, "{separator}{partition}.{sequence}")?;
            separator = '-';
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, rest) = text.split_once('.').ok_or(PositionError::Malformed)?;
        let (epoch, (beginning, behind)) = (number(epoch)?, rest.split_once('.').ok_or(PositionError::Malformed)?);
        match Incarnation::parse(beginning) {
            // A partition's number is shorter than an incarnation.
            None => lanes(rest).and(Err(PositionError::WithoutIncarnation)),
            Some(incarnation) => Ok(Self { log: LogName { epoch, incarnation }, lanes: lanes(behind)? }),
        }
    }
}

/// Reads `<partition>.<sequence>-<partition>.<sequence>…`.
fn lanes(text: &str) -> Result<BTreeMap<u16, u64>, PositionError> {
    let mut lanes = BTreeMap::new();
    for lane in text.split('-') {
        let (partition, sequence) = lane.split_once('.').ok_or(PositionError::Malformed)?;
        let partition: u16 = number(partition)?;
        let is_new = lanes.insert(partition, number(sequence)?).is_none();
        if partition >= crate::lane::MAX_PARTITIONS || !is_new {
            return Err(PositionError::Malformed);
        }
    }
    Ok(lanes)
}

/// Plain decimal digits, without sign or leading zeros, so that a position has one text.
fn number<N: FromStr>(text: &str) -> Result<N, PositionError> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !plain || leading_zero {
        return Err(PositionError::Malformed);
    }
    text.parse().map_err(|_| PositionError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(epoch: u8, stream_id: &str) -> LogName {
        LogName { epoch, incarnation: Incarnation::of(stream_id) }
    }

    #[test]
    fn a_writes_position_reads_as_that_of_its_lane() {
        for (epoch, partition, sequence) in [(1, 0, 1), (200, crate::lane::MAX_PARTITIONS - 1, u64::MAX)] {
            let log = log(epoch, "a");
            let written = LanePosition { log, partition, sequence }.to_string();
            assert_eq!(written, Position::of_lane(log, partition, sequence).to_string());
            assert_eq!(written.parse(), Ok(Position::of_lane(log, partition, sequence)));
        }
    }

    #[test]
    fn positions_of_two_incarnations_differ_whatever_the_streams_ids_are() {
        let ids = ["", "a", "b", "0", "00000000000000000000000000000001", "\u{e9} \"\r\n", "00000001"];
        for (index, id) in ids.iter().enumerate() {
            let position = Position { log: log(1, id), lanes: BTreeMap::from([(0, 7), (3, 9)]) };
            let text = position.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{text}");
            assert_eq!(text.parse(), Ok(position.clone()));
            for other in &ids[index + 1..] {
                assert_ne!(position.log, log(1, other));
            }
        }
    }

    #[test]
    fn positions_of_earlier_versions_are_told_from_what_never_was_one() {
        for earlier in ["1.0.5", "200.1023.18446744073709551615", "1.0.5-3.0"] {
            assert_eq!(earlier.parse::<Position>(), Err(PositionError::WithoutIncarnation), "{earlier}");
        }
        let malformed = [
            "",
            "1",
            "1.2",
            "1.0a1b2c3d",
            "1.0a1b2c3d.0",
            "1.0A1B2C3D.0.5",
            "1.0a1b2c3.0.5",
            "1.0a1b2c3d4.0.5",
            "1.0a1b2c3d.00.5",
            "1.0a1b2c3d.0.5-0.6",
            "1.0a1b2c3d.1024.5",
            "256.0a1b2c3d.0.5",
            "1.0a1b2c3d.0.5-",
            "1.0.5-",
            "1..0.5",
            "1.0a1b2c3d.0.5.6",
        ];
        for text in malformed {
            assert_eq!(text.parse::<Position>(), Err(PositionError::Malformed), "{text}");
        }
    }
}
