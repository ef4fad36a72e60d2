//! Values as CQL has them: stamps, dates, sequences, minor units.

use ledger::{Balance, BusinessDate, Currency, Grain, Place, RowKey, Totals};
use scylla::value::{CqlDate, CqlVarint};

use crate::{StoreError, StoreErrorKind, encoding::Damaged};

/// Bits of a stamp that hold the sequence; the epoch stands above them.
const SEQUENCE_BITS: u32 = 43;
/// A server refuses stamps of more than three days ahead of its clock, in microseconds: this epoch's lie in the past.
const MAX_EPOCH: u8 = 200;
/// Day 0 of a CQL date is this many days before 1970-01-01.
const DATE_ZERO: u32 = 1 << 31;

/// What a statement is stamped with: a newer epoch is above every sequence of an older one.
pub(super) fn stamp(epoch: u8, sequence: u64) -> Result<i64, StoreError> {
    let fits = (1..=MAX_EPOCH).contains(&epoch) && sequence >> SEQUENCE_BITS == 0;
    let stamp = i64::try_from(u64::from(epoch) << SEQUENCE_BITS | sequence).ok().filter(|_| fits);
    stamp.ok_or_else(|| {
        let message = format!("epoch {epoch} with sequence {sequence} has no stamp that a CQL server takes");
        StoreError::new(StoreErrorKind::Refused, message)
    })
}

/// A sequence or a count; those that the log can have fit.
pub(super) fn bigint(number: u64) -> i64 {
    number.cast_signed()
}

/// A sequence to compare with: one above all that can be stored is as good as the largest.
pub(super) fn bigint_bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A line or a bucket; those that the log can have fit.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn place(sequence: i64, line: i32) -> Result<Place, Damaged> {
    let damaged = Damaged { what: "place" };
    Ok(Place { sequence: sequence.cast_unsigned(), line: u32::try_from(line).map_err(|_| damaged)? })
}

pub(super) fn date(date: BusinessDate) -> CqlDate {
    CqlDate(date.days().cast_unsigned().wrapping_add(DATE_ZERO))
}

fn business_date(date: CqlDate) -> Result<BusinessDate, Damaged> {
    let days = date.0.wrapping_sub(DATE_ZERO).cast_signed();
    BusinessDate::from_days(days).ok_or(Damaged { what: "date" })
}

pub(super) fn grain(grain: Grain) -> &'static str {
    match grain {
        Grain::Day => "D",
        Grain::Month => "M",
        Grain::Lifetime => "L",
    }
}

/// The key of a row as read.
pub(super) fn row_key(grain_text: &str, start: CqlDate, currency: &str) -> Result<RowKey, Damaged> {
    let known = Grain::ALL.into_iter().find(|known| grain(*known) == grain_text);
    Ok(RowKey {
        grain: known.ok_or(Damaged { what: "grain" })?,
        start: business_date(start)?,
        currency: Currency::parse(currency).map_err(|_| Damaged { what: "currency" })?,
    })
}

/// Minor units as the shortest varint: equal numbers are equal bytes.
pub(super) fn varint(number: i128) -> CqlVarint {
    let bytes = number.to_be_bytes();
    let is_spare = |pair: &[u8]| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80);
    let spare = bytes.windows(2).take_while(|pair| is_spare(pair)).count();
    CqlVarint::from_signed_bytes_be_slice(&bytes[spare..])
}

fn minor_units(varint: &CqlVarint) -> Result<i128, Damaged> {
    let bytes = varint.as_signed_bytes_be_slice();
    let damaged = Damaged { what: "varint" };
    let first = *bytes.first().ok_or(damaged)?;
    let mut whole = [if first < 0x80 { 0 } else { 0xff }; size_of::<i128>()];
    let start = whole.len().checked_sub(bytes.len()).ok_or(damaged)?;
    whole[start..].copy_from_slice(bytes);
    Ok(i128::from_be_bytes(whole))
}

/// The columns of a balance row behind its key, as read.
pub(super) type BalanceColumns = (CqlVarint, CqlVarint, i64, i64, i64, i32, i64);

/// A row without its key.
pub(super) fn balance(columns: &BalanceColumns) -> Result<Balance, Damaged> {
    let (credits, debits, credit_count, debit_count, changed_sequence, changed_line, applied) = columns;
    let totals = Totals {
        credits: minor_units(credits)?,
        debits: minor_units(debits)?,
        credit_count: credit_count.cast_unsigned(),
        debit_count: debit_count.cast_unsigned(),
    };
    Ok(Balance { totals, changed: place(*changed_sequence, *changed_line)?, applied: applied.cast_unsigned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_dates_come_back(number: i128, shift in 0_u32..127, days in -25_567_i32..84_000) {
            for number in [number, number >> shift] {
                let written = varint(number);
                prop_assert_eq!(minor_units(&written), Ok(number));
                let bytes = written.as_signed_bytes_be_slice();
                prop_assert!(bytes.len() == 1 || minor_units(&CqlVarint::from_signed_bytes_be_slice(&bytes[1..])) != Ok(number));
            }
            if let Some(day) = BusinessDate::from_days(days) {
                prop_assert_eq!(business_date(date(day)), Ok(day));
            }
        }
    }

    #[test]
    fn extremes_come_back() {
        for number in [0, -1, 127, 128, -128, -129, i128::MIN, i128::MAX] {
            assert_eq!(minor_units(&varint(number)), Ok(number));
        }
        assert_eq!(varint(0).as_signed_bytes_be_slice(), [0]);
        assert!(minor_units(&CqlVarint::from_signed_bytes_be(vec![1; 17])).is_err());
        assert!(minor_units(&CqlVarint::from_signed_bytes_be(Vec::new())).is_err());
    }

    #[test]
    fn a_newer_epoch_is_above_every_sequence_of_an_older_one() {
        let last = (1 << SEQUENCE_BITS) - 1;
        assert!(stamp(1, last).unwrap() < stamp(2, 0).unwrap());
        assert_eq!(stamp(1, 7).unwrap(), (1 << 43) + 7);
        for (epoch, sequence) in [(0, 1), (201, 1), (1, last + 1), (1, u64::MAX)] {
            assert_eq!(stamp(epoch, sequence).unwrap_err().kind, StoreErrorKind::Refused);
        }
        // In microseconds that is before this was written, so that no server finds it in the future.
        assert!(stamp(MAX_EPOCH, last).unwrap() < 1_770_000_000_000_000);
    }
}
