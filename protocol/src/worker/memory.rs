//! What things weigh: the budget is kept only if it knows what lists, maps and the allocator need beside the items.

use ledger::AccountKey;

/// What the allocator needs beside a piece of memory: its head, and rounding up.
pub(crate) const ALLOCATION_BYTES: usize = 16;

/// Texts up to this length stand where the name is kept.
const INLINE_NAME_BYTES: usize = 23;

/// Most bytes of an entry of a hash map: one has doubled when seven eighths of it were full, and a control byte goes with
/// each place.
pub(crate) const fn map_entry_bytes(entry: usize) -> usize {
    (entry + 1) * 16 / 7
}

/// Bytes of a key's names outside of it. Copies of a key share them.
pub(crate) fn name_bytes(key: &AccountKey) -> usize {
    text_bytes(key.tenant.as_str()) + text_bytes(key.account.as_str())
}

/// Bytes of a name outside of it.
pub(crate) fn text_bytes(text: &str) -> usize {
    // Counters of the copies stand in front of it.
    if text.len() > INLINE_NAME_BYTES { text.len() + 2 * size_of::<usize>() + ALLOCATION_BYTES } else { 0 }
}
