//! Bytes of stored values: balances and journal chunks, each with a version byte in front.
//!
//! The same bytes for the same content, always: rows of equal stamps must be equal, and a chunk is never rewritten.

mod balance;
mod chunk;
mod number;

pub(crate) use balance::{decode_balance, decode_stamp, encode_balance, read_balance};
pub(crate) use chunk::{ChunkEncoder, columns, decode_entries, decode_facts, encode_digests, encode_lines};
pub(crate) use number::Reader;

/// Stored bytes that no version of this program wrote, or that a newer one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored bytes of a {what} cannot be read")]
pub(crate) struct Damaged {
    /// What they should have been.
    pub what: &'static str,
}
