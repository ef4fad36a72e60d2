//! The generation record: which rules filled the store.

use fjall::Readable;

use super::{
    lifecycle::Lifecycle,
    value::{from_json, to_json},
};
use crate::{GenerationRecord, StoreError, StoreErrorKind};

const GENERATION_KEY: &str = "generation";
const FIRST_GENERATION: u32 = 1;

/// Reads or makes the generation record.
pub(super) fn open(lifecycle: &Lifecycle, fold_version: u32) -> Result<GenerationRecord, StoreError> {
    let opened = lifecycle.writable()?;
    // Any lock will do that all callers share.
    let _lane = opened.lane(0);
    if let Some(stored) = opened.database.snapshot().get(&opened.meta, GENERATION_KEY)? {
        let record: GenerationRecord = from_json(&stored)?;
        return record.check_fold_version(fold_version);
    }
    let record = GenerationRecord::first(fold_version);
    let mut batch = opened.database.batch().durability(Some(fjall::PersistMode::SyncAll));
    batch.insert(&opened.meta, GENERATION_KEY, to_json(&record)?);
    opened.write(batch).map_err(|failure| lifecycle.failed(&opened, failure))?;
    Ok(record)
}

impl GenerationRecord {
    /// The record of an empty store.
    pub(crate) fn first(fold_version: u32) -> Self {
        let (generation, generation_high_water) = (FIRST_GENERATION, FIRST_GENERATION);
        Self { generation, fold_version, epoch_high_water: 0, generation_high_water }
    }

    /// The record, if workers of these rules may write.
    pub(crate) fn check_fold_version(self, fold_version: u32) -> Result<Self, StoreError> {
        if self.fold_version == fold_version {
            return Ok(self);
        }
        let stored = self.fold_version;
        Err(StoreError::new(
            StoreErrorKind::Refused,
            format!(
                "the store was filled by version {stored} of the rules, and this program has version {fold_version}"
            ),
        ))
    }
}
