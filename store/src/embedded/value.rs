//! The small rows' values, and how fjall's errors on reading are told.

use ledger::Currency;
use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, StoreErrorKind, encoding::Damaged};

/// An account's or a tenant lane's static row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// The largest `applied` written for it.
    pub applied: u64,
    /// Every currency that it has a row of, so that its rows are found by single reads instead of scans.
    pub currencies: Vec<Currency>,
}

const CODE_BYTES: usize = 3;

impl Owner {
    /// Takes a currency in; says whether it is new.
    pub fn add(&mut self, currency: Currency) -> bool {
        match self.currencies.binary_search(&currency) {
            Ok(_) => false,
            Err(index) => {
                self.currencies.insert(index, currency);
                true
            }
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.applied.to_be_bytes().to_vec();
        for currency in &self.currencies {
            bytes.extend_from_slice(currency.code().as_bytes());
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let damaged = Damaged { what: "static row" };
        let (applied, codes) = bytes.split_first_chunk().ok_or(damaged)?;
        let (codes, rest) = codes.as_chunks::<CODE_BYTES>();
        if !rest.is_empty() {
            return Err(damaged);
        }
        let currency =
            |code: &[u8; CODE_BYTES]| std::str::from_utf8(code).ok().and_then(|code| Currency::parse(code).ok());
        let currencies = codes.iter().map(currency).collect::<Option<_>>().ok_or(damaged)?;
        Ok(Self { applied: u64::from_be_bytes(*applied), currencies })
    }
}

/// A row of which a partition, or the store, has one: text that a person can read.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::new(StoreErrorKind::Refused, error.to_string()))
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        StoreError::new(StoreErrorKind::Refused, format!("stored bytes of a small row cannot be read: {error}"))
    })
}

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> Self {
        Self::new(StoreErrorKind::Refused, damaged.to_string())
    }
}

/// Errors of reads: those of the disk may pass, damaged files stay damaged.
impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                Self::new(StoreErrorKind::Unavailable, format!("the store cannot be read now: {error}"))
            }
            error => Self::new(StoreErrorKind::Refused, format!("the store cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_comes_back() {
        let mut owner = Owner { applied: u64::MAX - 1, currencies: Vec::new() };
        for (code, new) in [("USD", true), ("BRL", true), ("USD", false), ("JPY", true)] {
            assert_eq!(owner.add(Currency::parse(code).unwrap()), new);
        }
        let bytes = owner.encode();
        assert_eq!(Owner::decode(&bytes), Ok(owner));
        for length in [0, 7, 9, 10, 12] {
            assert!(Owner::decode(&bytes[..length]).is_err());
        }
        assert_eq!(Owner::decode(&[0; 8]), Ok(Owner::default()));
    }
}
