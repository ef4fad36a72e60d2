//! Which rows a batch of an owner has, kept beside its static `applied`.
//!
//! A batch lands at a node as a whole. But before enough nodes have it, a read that finds it at one of them repairs at another
//! what that read was about, and no more: the static columns, and the rows of its own range. A later read of other rows, from
//! that node and one that has nothing of the batch, then finds the new `applied` beside old rows. So the batch names its rows,
//! each with the sequence of its last change, and a reader looks again while one of them is older.
//!
//! Two workers on one lane write the same stamps with batches of different rows, and either list may remain. Each is right: what
//! a row must include is a function of the log, and rows that only one of them names were stored by commits that had ended
//! before.

use ledger::{Balance, BusinessDate, Currency, Grain, RowKey};
use protocol::store_reading::{
    Ranges,
    moment::{BatchRow, is_whole},
};

use crate::encoding::Damaged;

const DAMAGED: Damaged = Damaged { what: "list of a batch's rows" };
const ROW_BYTES: usize = 1 + 4 + 3 + 8;

/// The list of these rows, which include everything up to `applied`.
pub(super) fn encode(applied: u64, rows: &[(RowKey, Balance)]) -> Vec<u8> {
    let mut list = Vec::with_capacity(size_of::<u64>() + rows.len() * ROW_BYTES);
    list.extend_from_slice(&applied.to_be_bytes());
    for (key, balance) in rows {
        list.push(key.grain as u8);
        list.extend_from_slice(&key.start.days().to_be_bytes());
        list.extend_from_slice(key.currency.code().as_bytes());
        list.extend_from_slice(&balance.changed.sequence.to_be_bytes());
    }
    list
}

/// A list as read.
#[derive(Debug, Default)]
pub(super) struct BatchRows {
    applied: u64,
    /// What each row must include.
    rows: Vec<BatchRow>,
}

impl BatchRows {
    /// That of a batch which names none.
    pub(super) fn none(applied: u64) -> Self {
        Self { applied, rows: Vec::new() }
    }

    pub(super) fn decode(list: &[u8]) -> Result<Self, Damaged> {
        let (applied, rows) = list.split_first_chunk().ok_or(DAMAGED)?;
        if rows.len() % ROW_BYTES != 0 {
            return Err(DAMAGED);
        }
        let rows = rows.chunks_exact(ROW_BYTES).map(decode_row).collect::<Result<_, _>>()?;
        Ok(Self { applied: u64::from_be_bytes(*applied), rows })
    }

    /// Whether it is the list of this `applied`: the two are repaired apart.
    pub(super) fn is_of(&self, applied: u64) -> bool {
        self.applied == applied
    }

    /// Whether of its rows those inside of one of the ranges are among `found`, which is ordered by key, as new as they must be.
    pub(super) fn is_whole(&self, ranges: &Ranges, found: &[(RowKey, Balance)]) -> bool {
        is_whole(&self.rows, ranges, found)
    }
}

fn decode_row(row: &[u8]) -> Result<BatchRow, Damaged> {
    let (grain, rest) = row.split_first().ok_or(DAMAGED)?;
    let (days, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let (code, changed) = rest.split_at_checked(3).ok_or(DAMAGED)?;
    let code = std::str::from_utf8(code).map_err(|_| DAMAGED)?;
    let key = RowKey {
        grain: Grain::ALL.into_iter().find(|known| *known as u8 == *grain).ok_or(DAMAGED)?,
        start: BusinessDate::from_days(i32::from_be_bytes(*days)).ok_or(DAMAGED)?,
        currency: Currency::parse(code).map_err(|_| DAMAGED)?,
    };
    Ok((key, u64::from_be_bytes(changed.try_into().map_err(|_| DAMAGED)?)))
}

#[cfg(test)]
mod tests {
    use ledger::{Place, Totals};

    use super::*;

    fn row(grain: Grain, code: &str, changed: u64, applied: u64) -> (RowKey, Balance) {
        let start = grain.start(BusinessDate::parse("1969-11-22").unwrap());
        let balance = Balance { totals: Totals::default(), changed: Place::new(changed, 1), applied };
        (RowKey { grain, start, currency: Currency::parse(code).unwrap() }, balance)
    }

    fn everything() -> Vec<(Grain, BusinessDate, BusinessDate)> {
        Grain::ALL.into_iter().map(|grain| (grain, BusinessDate::MIN, BusinessDate::MAX)).collect()
    }

    #[test]
    fn a_row_that_is_missing_or_older_than_its_last_change_is_seen_where_it_is_wanted() {
        let written = [row(Grain::Day, "BRL", 7, 9), row(Grain::Month, "BRL", 9, 9)];
        let list = BatchRows::decode(&encode(9, &written)).unwrap();
        assert!(list.is_of(9) && !list.is_of(8));
        assert!(list.is_whole(&everything(), &written));
        // Another worker's commit ended between the two changes.
        assert!(list.is_whole(&everything(), &[row(Grain::Day, "BRL", 7, 7), written[1]]));
        assert!(!list.is_whole(&everything(), &[row(Grain::Day, "BRL", 5, 6), written[1]]));
        assert!(!list.is_whole(&everything(), &written[..1]));
        assert!(list.is_whole(&everything()[..1], &written[..1]), "months are not wanted");
    }

    #[test]
    fn damage_is_seen() {
        let list = encode(9, &[row(Grain::Day, "BRL", 7, 9)]);
        for length in (0..list.len()).filter(|length| *length != size_of::<u64>()) {
            assert!(BatchRows::decode(&list[..length]).is_err());
        }
    }
}
