//! Ids that ingest makes: 48 bits of milliseconds and 80 random ones, in 26 letters that sort by time (the form of a ULID).

use ledger::{IdentifierError, LaunchId};

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new id for a launch posted at `now_ms` (milliseconds since 1970-01-01T00:00:00Z).
///
/// # Errors
/// Never in practice: the letters obey the grammar of ids.
pub fn make_id(now_ms: i64, random: u128) -> Result<LaunchId, IdentifierError> {
    let time = u128::try_from(now_ms).unwrap_or(0) & 0xffff_ffff_ffff;
    let mut number = (time << 80) | (random & ((1 << 80) - 1));
    let mut text = [b'0'; 26];
    for letter in text.iter_mut().rev() {
        *letter = LETTERS[usize::try_from(number % 32).unwrap_or(0)];
        number /= 32;
    }
    LaunchId::parse(std::str::from_utf8(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let id = |now_ms, random| make_id(now_ms, random).unwrap();
        assert!(id(1, u128::MAX) < id(2, 0));
        assert_ne!(id(1, 1), id(1, 2));
        assert_eq!(id(1_469_918_176_385, 0).as_str(), "01ARYZ6S410000000000000000");
        assert_eq!(id(-5, u128::MAX).as_str().len(), 26);
    }
}
