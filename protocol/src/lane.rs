//! Which lane of the log an account belongs to.

use ledger::AccountKey;

/// Most partitions that a log may have: a bound for everything that is kept by partition.
pub const MAX_PARTITIONS: u16 = 1_024;

/// Partitions of a new log where nobody says how many: more gather worse, fewer leave cores and aggregators idle.
pub const DEFAULT_PARTITIONS: u16 = 4;
const FEWEST_OF_A_MACHINE: u16 = 2;

/// The same where all services share one machine of so many cores: a partition for each core, from two on. Each launch takes
/// less when more of them share a message and its sync, and no two workers could fold on one core at once.
pub fn partitions_of_a_machine(cores: usize) -> u16 {
    u16::try_from(cores).unwrap_or(u16::MAX).clamp(FEWEST_OF_A_MACHINE, DEFAULT_PARTITIONS)
}

/// The partition of an account: FNV-1a 32 over tenant and account without a separator, modulo `partitions`. The server's
/// subject transform `partition(P,1,2)` computes the same, so that both ways of publishing meet in one lane.
pub fn partition_of(key: &AccountKey, partitions: u16) -> u16 {
    let bytes = key.tenant.as_str().bytes().chain(key.account.as_str().bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u16::try_from(hash % u32::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_partition_for_each_core_within_bounds() {
        let of_cores = [0, 1, 2, 3, 4, 5, 100_000].map(partitions_of_a_machine);
        assert_eq!(of_cores, [2, 2, 2, 3, 4, 4, 4]);
    }
}
