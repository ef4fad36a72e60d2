//! A balance row's value: stamp first, so that put-if-newer reads no further.

use ledger::{Balance, Place, Totals};

use super::{
    Damaged,
    number::{Reader, put_i128, put_u64},
};

const VERSION: u8 = 1;
const WHAT: &str = "balance row";

/// Appends the row's value.
pub(crate) fn encode_balance(bytes: &mut Vec<u8>, balance: &Balance) {
    bytes.push(VERSION);
    put_u64(bytes, balance.applied);
    put_u64(bytes, balance.changed.sequence);
    put_u64(bytes, u64::from(balance.changed.line));
    put_u64(bytes, balance.totals.credit_count);
    put_u64(bytes, balance.totals.debit_count);
    put_i128(bytes, balance.totals.credits);
    put_i128(bytes, balance.totals.debits);
}

/// The row's stamp alone.
pub(crate) fn decode_stamp(bytes: &[u8]) -> Result<u64, Damaged> {
    let mut reader = Reader::new(bytes, WHAT);
    reader.version(VERSION)?;
    reader.u64()
}

/// The whole row.
pub(crate) fn decode_balance(bytes: &[u8]) -> Result<Balance, Damaged> {
    let mut reader = Reader::new(bytes, WHAT);
    let balance = read_balance(&mut reader)?;
    reader.end()?;
    Ok(balance)
}

/// A row among others: what [`encode_balance`] appended.
pub(crate) fn read_balance(reader: &mut Reader<'_>) -> Result<Balance, Damaged> {
    reader.version(VERSION)?;
    let applied = reader.u64()?;
    let changed = Place { sequence: reader.u64()?, line: reader.u32()? };
    let (credit_count, debit_count) = (reader.u64()?, reader.u64()?);
    let (credits, debits) = (reader.i128()?, reader.i128()?);
    Ok(Balance { totals: Totals { credits, debits, credit_count, debit_count }, changed, applied })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_balance_comes_back(sums: (i128, i128), counts: (u64, u64), sequence: u64, line: u32, applied: u64) {
            let totals = Totals { credits: sums.0, debits: sums.1, credit_count: counts.0, debit_count: counts.1 };
            let balance = Balance { totals, changed: Place { sequence, line }, applied };
            let mut bytes = Vec::new();
            encode_balance(&mut bytes, &balance);
            prop_assert_eq!(decode_balance(&bytes), Ok(balance));
            prop_assert_eq!(decode_stamp(&bytes), Ok(applied));
            for length in 0..bytes.len() {
                prop_assert!(decode_balance(&bytes[..length]).is_err());
            }
        }
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = Vec::new();
        encode_balance(&mut bytes, &Balance::default());
        bytes[0] = VERSION + 1;
        assert_eq!(decode_balance(&bytes), Err(Damaged { what: WHAT }));
        assert_eq!(decode_stamp(&bytes), Err(Damaged { what: WHAT }));
    }
}
