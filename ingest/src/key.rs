//! What makes a launch unique, in short.

use ledger::{Account, BusinessDate, Digest, Fingerprint, FingerprintSecret, LaunchId, Tenant};
use nats::MessageId;
use protocol::deduplication::Held;

/// Three identifiers of at most 64 bytes, two separators and a date.
const MAX_KEY_BYTES: usize = 3 * 64 + 2 + 4;

/// (tenant, account, date, id) as bytes, each launch's own.
pub struct LaunchKey {
    bytes: [u8; MAX_KEY_BYTES],
    used: usize,
}

impl LaunchKey {
    /// Of these four.
    pub fn new(tenant: &Tenant, account: &Account, date: BusinessDate, id: &LaunchId) -> Self {
        let mut key = Self { bytes: [0; MAX_KEY_BYTES], used: 0 };
        key.push(tenant.as_bytes());
        key.push(b"/");
        key.push(account.as_bytes());
        key.push(b"/");
        key.push(&date.days().to_be_bytes());
        key.push(id.as_bytes());
        key
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.used..self.used + part.len()].copy_from_slice(part);
        self.used += part.len();
    }

    /// What every process knows it by.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes[..self.used])
    }

    /// What this process knows it by.
    pub fn fingerprint(&self, secret: &FingerprintSecret) -> Fingerprint {
        secret.of(&self.bytes[..self.used])
    }
}

/// The message id of a batch: over the key and content of every entry, in order. It is this process's own, for only what is
/// sent again has to have it again.
pub fn packed_message_id(held: &[Held]) -> MessageId {
    let mut bytes = Vec::with_capacity(held.len() * 32);
    for Held { launch, .. } in held {
        bytes.extend_from_slice(&launch.key.0);
        bytes.extend_from_slice(&launch.content.0);
    }
    MessageId::Packed(Digest::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_none_runs_into_its_neighbour() {
        let digest = |tenant, account, days, id| {
            let (tenant, account) = (Tenant::parse(tenant).unwrap(), Account::parse(account).unwrap());
            let (date, id) = (BusinessDate::from_days(days).unwrap(), LaunchId::parse(id).unwrap());
            LaunchKey::new(&tenant, &account, date, &id).digest()
        };
        let first = digest("ab", "c", 1, "x");
        assert_eq!(first, digest("ab", "c", 1, "x"));
        let long = "x".repeat(64);
        let others = [
            digest("a", "bc", 1, "x"),
            digest("ab", "c", 2, "x"),
            digest("ab", "c", 1, "y"),
            digest("ab", "cx", 1, "x"),
            digest(&long, &long, 1, &long),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
