//! Chunks as they are stored, for the pages that [`protocol::reading`] makes of them.

use ledger::{Fact, Place};
use protocol::store_reading::page::ChunkFacts;

use crate::{StoreError, encoding::decode_facts};

/// Both columns of a chunk.
#[derive(Clone, Copy)]
pub(crate) struct EncodedChunk<'a> {
    pub(crate) digests: &'a [u8],
    pub(crate) lines: &'a [u8],
}

impl ChunkFacts<StoreError> for EncodedChunk<'_> {
    fn each(&self, is_wanted: &dyn Fn(Place) -> bool, found: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        Ok(decode_facts(self.digests, self.lines, |entry| is_wanted(entry.place), found)?)
    }
}
