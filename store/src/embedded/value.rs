//! The small rows' values, and how fjall's errors on reading are told.

use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, StoreErrorKind, encoding::Damaged};

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
