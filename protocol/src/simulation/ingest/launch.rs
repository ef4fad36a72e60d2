//! Launches as their authors mean them: an id and a content.

use ledger::{Account, BusinessDate, Digest, Fingerprint, LaunchId, Tenant};

use crate::{
    deduplication::{Claimed, Flight},
    publishing::{LaunchName, MessageId},
};

/// One launch. Ids of one partition belong to accounts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Launch {
    pub(super) id: u8,
    pub(super) content: u8,
}

impl Launch {
    pub(super) fn partition(self, partitions: u16) -> u16 {
        u16::from(self.id) % partitions
    }

    pub(super) fn claimed(self) -> Claimed {
        Claimed { key: Fingerprint([self.id; 16]), content: Fingerprint([self.content; 16]) }
    }

    /// By what the log recognises it when it is alone in its message.
    pub(super) fn name(self, covers_content: bool) -> Option<MessageId> {
        let content = if covers_content { self.content } else { 0 };
        Some(MessageId::Launch(LaunchName {
            tenant: Tenant::parse("acme").ok()?,
            account: Account::parse("store").ok()?,
            date: BusinessDate::parse("2026-01-31").ok()?,
            id: LaunchId::parse(&format!("id-{}", self.id)).ok()?,
            key: Digest::of(&[self.id]),
            content: Digest::of(&[content]),
        }))
    }
}

/// By what the log recognises launches that were posted together.
pub(super) fn packed(launches: &[Launch], covers_content: bool) -> MessageId {
    let content = |launch: &Launch| if covers_content { launch.content } else { 0 };
    let bytes: Vec<u8> = launches.iter().flat_map(|launch| [launch.id, content(launch)]).collect();
    MessageId::Packed(Digest::of(&bytes))
}

/// A flight is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(pub(super) u64);

impl Flight for Number {
    fn number(&self) -> u64 {
        self.0
    }
}
