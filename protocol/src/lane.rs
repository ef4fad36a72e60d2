//! Which lane of the log an account belongs to.

use ledger::AccountKey;

/// Most partitions that a log may have: a bound for everything that is kept by partition.
pub const MAX_PARTITIONS: u16 = 1_024;

/// The partition of an account: FNV-1a 32 over tenant and account without a separator, modulo `partitions`. The server's
/// subject transform `partition(P,1,2)` computes the same, so that both ways of publishing meet in one lane.
pub fn partition_of(key: &AccountKey, partitions: u16) -> u16 {
    let bytes = key.tenant.as_str().bytes().chain(key.account.as_str().bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u16::try_from(hash % u32::from(partitions.max(1))).unwrap_or(0)
}
