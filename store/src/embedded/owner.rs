//! The row of an owner, an account or a tenant's lane: its static `applied`, and the rows that most launches change.
//!
//! A launch changes a day, its month and the lifetime, nearly always the same as the launch before it. These **near rows**
//! stand in the owner's own row, so that a launch writes one row instead of four, and a day is read with one read. When another
//! day or month is written the former moves out into a row of its own. A row that stands here is the newest of its
//! key: one of its own, of the same key, is from before.

use ledger::{Balance, BusinessDate, Currency, Grain, RowKey};

use super::keys;
use crate::encoding::{Damaged, Reader, encode_balance, read_balance};

/// A currency has three near rows. Owners of many currencies have the others as rows of their own: what is written with
/// every launch stays short.
const MOST_NEAR_ROWS: usize = 12;

const VERSION: u8 = 1;
const WHAT: &str = "owner's row";
const CODE_BYTES: usize = 3;

/// See the head of this module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// The largest `applied` written for it.
    pub applied: u64,
    /// Every currency that it has a row of, so that its rows are found by single reads instead of scans; in order.
    pub currencies: Vec<Currency>,
    near: Vec<(RowKey, Balance)>,
}

impl Owner {
    /// One of whom nothing is stored.
    pub const fn new() -> Self {
        Self { applied: 0, currencies: Vec::new(), near: Vec::new() }
    }

    /// Becomes as new; its lists keep their room.
    pub fn clear(&mut self) {
        self.applied = 0;
        self.currencies.clear();
        self.near.clear();
    }

    /// The row, if it stands here.
    pub fn near(&self, key: &RowKey) -> Option<&Balance> {
        self.near.iter().find(|(near, _)| near == key).map(|(_, balance)| balance)
    }

    /// All rows that stand here.
    pub fn near_rows(&self) -> &[(RowKey, Balance)] {
        &self.near
    }

    /// Takes rows in, each newer than what is stored of it. Returns those that are to be written as rows of their own.
    pub fn take(&mut self, rows: &[(RowKey, Balance)]) -> Vec<(RowKey, Balance)> {
        let starts = NearStarts::of(rows);
        let (mut coming, mut far) = (Vec::new(), Vec::new());
        for (key, balance) in rows {
            self.add_currency(key.currency);
            match self.near.iter_mut().find(|(near, _)| near == key) {
                Some((_, stored)) => *stored = *balance,
                None if starts.hold(key) => coming.push((*key, *balance)),
                None => far.push((*key, *balance)),
            }
        }
        far.extend(self.near.extract_if(.., |(key, _)| !starts.hold(key)));
        let room = MOST_NEAR_ROWS.saturating_sub(self.near.len()).min(coming.len());
        far.extend(coming.split_off(room));
        self.near.extend(coming);
        far
    }

    fn add_currency(&mut self, currency: Currency) {
        if let Err(index) = self.currencies.binary_search(&currency) {
            self.currencies.insert(index, currency);
        }
    }

    /// Appends its row's value.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        // There are some two hundred currencies.
        bytes.push(u8::try_from(self.currencies.len()).unwrap_or(u8::MAX));
        for currency in &self.currencies {
            bytes.extend_from_slice(currency.code().as_bytes());
        }
        for (key, balance) in &self.near {
            keys::put_row(bytes, key);
            encode_balance(bytes, balance);
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut owner = Self::new();
        owner.read(bytes)?;
        Ok(owner)
    }

    /// Becomes what the bytes say; after an error it is to be cleared.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        self.clear();
        let mut reader = Reader::new(bytes, WHAT);
        reader.version(VERSION)?;
        self.applied = u64::from_be_bytes(reader.array()?);
        let count = usize::from(reader.byte()?);
        let (codes, _) = reader.take(count * CODE_BYTES)?.as_chunks::<CODE_BYTES>();
        for code in codes {
            let currency = std::str::from_utf8(code).ok().and_then(|code| Currency::parse(code).ok());
            self.currencies.push(currency.ok_or(reader.damaged())?);
        }
        while reader.remaining() > 0 {
            let key = keys::decode_row(reader.take(keys::ROW_BYTES)?)?;
            self.near.push((key, read_balance(&mut reader)?));
        }
        Ok(())
    }
}

/// The day and the month whose rows are to be near; the present ones where none is named.
struct NearStarts {
    day: Option<BusinessDate>,
    month: Option<BusinessDate>,
}

impl NearStarts {
    /// Those of the latest rows written.
    fn of(rows: &[(RowKey, Balance)]) -> Self {
        let latest = |grain| rows.iter().filter(|(key, _)| key.grain == grain).map(|(key, _)| key.start).max();
        Self { day: latest(Grain::Day), month: latest(Grain::Month) }
    }

    fn hold(&self, key: &RowKey) -> bool {
        let start = match key.grain {
            Grain::Day => self.day,
            Grain::Month => self.month,
            Grain::Lifetime => None,
        };
        start.is_none_or(|start| start == key.start)
    }
}

#[cfg(test)]
mod tests {
    use ledger::Totals;

    use super::*;

    fn row(grain: Grain, day: i32, code: &str, applied: u64) -> (RowKey, Balance) {
        let start = grain.start(BusinessDate::from_days(day).unwrap());
        let key = RowKey { grain, start, currency: Currency::parse(code).unwrap() };
        let totals = Totals { credits: i128::from(applied) << 80, ..Totals::default() };
        (key, Balance { applied, totals, ..Balance::default() })
    }

    fn of_day(day: i32, code: &str, applied: u64) -> Vec<(RowKey, Balance)> {
        Grain::ALL.map(|grain| row(grain, day, code, applied)).to_vec()
    }

    fn encoded(owner: &Owner) -> Vec<u8> {
        let mut bytes = Vec::new();
        owner.encode(&mut bytes);
        bytes
    }

    #[test]
    fn rows_stay_near_until_another_day_is_written() {
        let mut owner = Owner::default();
        assert_eq!(owner.take(&of_day(40, "BRL", 1)), []);
        assert_eq!(owner.take(&of_day(40, "BRL", 2)), []);
        assert_eq!(owner.take(&of_day(40, "USD", 3)), []);
        assert_eq!(owner.near_rows().len(), 6);
        // The next day of the same month: both currencies of the former day move out as they were.
        let moved = owner.take(&of_day(41, "BRL", 4));
        assert_eq!(moved, [row(Grain::Day, 40, "BRL", 2), row(Grain::Day, 40, "USD", 3)]);
        let (lifetime, balance) = row(Grain::Lifetime, 41, "BRL", 4);
        assert_eq!(owner.near(&lifetime), Some(&balance));
        // Another month.
        let moved = owner.take(&of_day(80, "BRL", 5));
        let expected =
            [row(Grain::Day, 41, "BRL", 4), row(Grain::Month, 41, "BRL", 4), row(Grain::Month, 41, "USD", 3)];
        assert!(moved.len() == expected.len() && expected.iter().all(|row| moved.contains(row)), "{moved:?}");
    }

    #[test]
    fn of_several_days_written_at_once_the_latest_is_near_and_each_row_has_one_place() {
        let mut owner = Owner::default();
        owner.take(&of_day(40, "BRL", 1));
        let written = [row(Grain::Day, 39, "BRL", 2), row(Grain::Day, 40, "BRL", 2), row(Grain::Day, 41, "BRL", 2)];
        let mut moved = owner.take(&written);
        moved.sort_unstable_by_key(|(key, _)| *key);
        assert_eq!(moved, written[..2]);
        assert!(owner.near(&written[2].0).is_some() && owner.near(&written[1].0).is_none());
    }

    #[test]
    fn many_currencies_have_rows_of_their_own() {
        let mut owner = Owner::default();
        let codes = ["BRL", "USD", "EUR", "JPY", "CHF"];
        let far: Vec<_> = codes.iter().flat_map(|code| owner.take(&of_day(40, code, 1))).collect();
        assert_eq!(owner.near_rows().len(), MOST_NEAR_ROWS);
        assert_eq!(far, of_day(40, "CHF", 1));
        assert_eq!(owner.currencies.len(), codes.len());
    }

    #[test]
    fn an_owner_comes_back() {
        let mut owner = Owner { applied: u64::MAX - 1, ..Owner::default() };
        assert_eq!(Owner::decode(&encoded(&owner)), Ok(owner.clone()));
        owner.take(&of_day(-40, "USD", 7));
        owner.take(&of_day(-40, "BRL", u64::MAX));
        let bytes = encoded(&owner);
        assert_eq!(Owner::decode(&bytes), Ok(owner.clone()));
        let mut other = Owner { applied: 3, ..Owner::default() };
        other.take(&of_day(40, "JPY", 2));
        assert_eq!((other.read(&bytes), other), (Ok(()), owner), "nothing is left of what it was");
        let whole_rows = (0..bytes.len()).filter(|length| Owner::decode(&bytes[..*length]).is_ok()).count();
        assert_eq!(whole_rows, 6, "only between rows may it end");
        let mut other = bytes;
        other[0] += 1;
        assert!(Owner::decode(&other).is_err());
    }
}
