//! Positions as callers see them: one opaque string that may cover several lanes.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// How far something has been applied: an epoch and a sequence for each lane it covers.
///
/// Text form: `<epoch>.<partition>.<sequence>`, further lanes as `-<partition>.<sequence>`, partitions ascending: safe in
/// headers and URLs. To callers it is opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The log's epoch.
    pub epoch: u8,
    /// Sequence by partition; at least one.
    pub lanes: BTreeMap<u16, u64>,
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position that this service gave out")]
pub struct PositionError;

/// The position of a write: of one lane. Its text is that of the [`Position`] which covers this lane alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePosition {
    /// The log's epoch.
    pub epoch: u8,
    /// The lane.
    pub partition: u16,
    /// Stream sequence in it.
    pub sequence: u64,
}

impl fmt::Display for LanePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, partition, sequence } = self;
        write!(formatter, "{epoch}.{partition}.{sequence}")
    }
}

impl Position {
    /// The position of one lane.
    pub fn of_lane(epoch: u8, partition: u16, sequence: u64) -> Self {
        Self { epoch, lanes: BTreeMap::from([(partition, sequence)]) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.epoch)?;
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
        let (epoch, lanes) = text.split_once('.').ok_or(PositionError)?;
        let epoch = number(epoch)?;
        let mut position = Self { epoch, lanes: BTreeMap::new() };
        for lane in lanes.split('-') {
            let (partition, sequence) = lane.split_once('.').ok_or(PositionError)?;
            let partition: u16 = number(partition)?;
            if partition >= crate::lane::MAX_PARTITIONS {
                return Err(PositionError);
            }
            if position.lanes.insert(partition, number(sequence)?).is_some() {
                return Err(PositionError);
            }
        }
        Ok(position)
    }
}

/// Plain decimal digits, without sign or leading zeros, so that a position has one text.
fn number<N: FromStr>(text: &str) -> Result<N, PositionError> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !plain || leading_zero {
        return Err(PositionError);
    }
    text.parse().map_err(|_| PositionError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writes_position_reads_as_that_of_its_lane() {
        for (epoch, partition, sequence) in [(1, 0, 1), (200, crate::lane::MAX_PARTITIONS - 1, u64::MAX)] {
            let written = LanePosition { epoch, partition, sequence }.to_string();
            assert_eq!(written, Position::of_lane(epoch, partition, sequence).to_string());
            assert_eq!(written.parse(), Ok(Position::of_lane(epoch, partition, sequence)));
        }
    }
}
