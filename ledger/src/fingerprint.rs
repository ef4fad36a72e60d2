//! 128-bit fingerprints that hold in one process only.

use std::fmt;

use siphasher::sip128::SipHasher13;

/// What the same bytes have in common in one process only: for what is never stored nor compared with what another process
/// made. A [`crate::Digest`] costs ten times as much.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// A process's own secret, without which nobody can look for different bytes of one fingerprint.
#[derive(Clone)]
pub struct FingerprintSecret([u8; FingerprintSecret::BYTES]);

impl FingerprintSecret {
    /// How many random bytes it is made of.
    pub const BYTES: usize = 16;

    /// Of random bytes.
    pub fn new(random: [u8; Self::BYTES]) -> Self {
        Self(random)
    }

    /// The fingerprint of `bytes`: SipHash-1-3, as Rust's own maps use it, with 128 bits. No way to two texts of one fingerprint
    /// is known that beats chance for whoever does not know the secret; faster functions are not made for that, and a launch
    /// that were taken for another would be lost.
    pub fn of(&self, bytes: &[u8]) -> Fingerprint {
        Fingerprint(SipHasher13::new_with_key(&self.0).hash(bytes).as_bytes())
    }
}

impl fmt::Debug for FingerprintSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FingerprintSecret")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_secret_count() {
        let secrets = [1, 2].map(|byte| FingerprintSecret::new([byte; FingerprintSecret::BYTES]));
        let bytes: Vec<u8> = (0..200).collect();
        let first = secrets[0].of(&bytes);
        assert_eq!(first, secrets[0].clone().of(&bytes));
        assert_ne!(first, secrets[1].of(&bytes));
        assert_ne!(first, secrets[0].of(&bytes[..199]));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(first, secrets[0].of(&other), "byte {at}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", FingerprintSecret::new([7; FingerprintSecret::BYTES])), "FingerprintSecret");
    }
}
