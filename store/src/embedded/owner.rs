//! The row of an owner, an account or a tenant's lane: its static `applied`, and its near rows ([`protocol::store_reading::near`]),
//! which most launches change.

use fjall::{Keyspace, Readable, Snapshot};
use ledger::{Balance, BusinessDate, Currency, Grain, RowKey};
use protocol::store_reading::near::{FarRows, NearRows};

use super::keys;
use crate::{
    StoreError,
    encoding::{Damaged, Reader, decode_balance, encode_balance, read_balance},
};

const VERSION: u8 = 1;
const WHAT: &str = "owner's row";
const CODE_BYTES: usize = 3;

/// See the head of this module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// The largest `applied` written for it.
    pub applied: u64,
    pub rows: NearRows,
}

impl Owner {
    /// One of whom nothing is stored.
    pub const fn new() -> Self {
        Self { applied: 0, rows: NearRows::new() }
    }

    /// Becomes as new; its lists keep their room.
    pub fn clear(&mut self) {
        self.applied = 0;
        self.rows.clear();
    }

    /// Appends its row's value.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        // There are some two hundred currencies.
        bytes.push(u8::try_from(self.rows.currencies().len()).unwrap_or(u8::MAX));
        for currency in self.rows.currencies() {
            bytes.extend_from_slice(currency.code().as_bytes());
        }
        for (key, balance) in self.rows.all() {
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
            self.rows.add_currency(currency.ok_or(reader.damaged())?);
        }
        while reader.remaining() > 0 {
            let key = keys::decode_row(reader.take(keys::ROW_BYTES)?)?;
            self.rows.restore(key, read_balance(&mut reader)?);
        }
        Ok(())
    }
}

/// The far rows of the owner whose prefix is in `key`.
pub(super) struct StoredRows<'a> {
    pub snapshot: &'a Snapshot,
    pub keyspace: &'a Keyspace,
    pub key: &'a mut Vec<u8>,
}

impl FarRows for StoredRows<'_> {
    type Error = StoreError;

    fn row(&mut self, row: &RowKey) -> Result<Option<Balance>, StoreError> {
        let prefix_bytes = self.key.len();
        keys::put_row(self.key, row);
        let stored = self.snapshot.get(self.keyspace, &self.key);
        self.key.truncate(prefix_bytes);
        Ok(stored?.as_deref().map(decode_balance).transpose()?)
    }

    fn rows(
        &mut self,
        (grain, from, to): (Grain, BusinessDate, BusinessDate),
        is_known: &dyn Fn(&RowKey) -> bool,
        found: &mut Vec<(RowKey, Balance)>,
    ) -> Result<(), StoreError> {
        let (mut first, mut last) = (self.key.clone(), self.key.clone());
        keys::put_start(&mut first, grain, from);
        keys::put_start(&mut last, grain, to);
        last.push(keys::ABOVE_CURRENCIES);
        for item in self.snapshot.range(self.keyspace, first..last) {
            let (key, value) = item.into_inner()?;
            let row = keys::decode_row(&key)?;
            if !is_known(&row) {
                found.push((row, decode_balance(&value)?));
            }
        }
        Ok(())
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
    fn an_owner_comes_back() {
        let mut owner = Owner { applied: u64::MAX - 1, ..Owner::default() };
        assert_eq!(Owner::decode(&encoded(&owner)), Ok(owner.clone()));
        owner.rows.take(&of_day(-40, "USD", 7));
        owner.rows.take(&of_day(-40, "BRL", u64::MAX));
        let bytes = encoded(&owner);
        assert_eq!(Owner::decode(&bytes), Ok(owner.clone()));
        let mut other = Owner { applied: 3, ..Owner::default() };
        other.rows.take(&of_day(40, "JPY", 2));
        assert_eq!((other.read(&bytes), other), (Ok(()), owner), "nothing is left of what it was");
        let whole_rows = (0..bytes.len()).filter(|length| Owner::decode(&bytes[..*length]).is_ok()).count();
        assert_eq!(whole_rows, 6, "only between rows may it end");
        let mut other = bytes;
        other[0] += 1;
        assert!(Owner::decode(&other).is_err());
    }
}
