//! By what the log recognises a repeated message.

use std::fmt;

use ledger::{Account, BusinessDate, Digest, LaunchId, Tenant};

/// What a launch adds to the id of a packed message: a letter and two digests.
const LAUNCH_BYTES: usize = 33;

/// By what a repeated batch is recognised: equal ids must mean equal lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageId {
    /// One launch.
    Launch(LaunchName),
    /// Several: a digest over every entry's key and content, in order.
    Packed(Digest),
}

/// What a launch is recognised by. The text is made only where it is sent, of a launch that is alone in its message: of those
/// that share one the digests are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchName {
    /// The organisation.
    pub tenant: Tenant,
    /// Its cash book.
    pub account: Account,
    /// The calendar day it counts for.
    pub date: BusinessDate,
    /// Unique within (tenant, account, date).
    pub id: LaunchId,
    /// Digest of these four.
    pub key: Digest,
    /// Digest of the content.
    pub content: Digest,
}

impl fmt::Display for LaunchName {
    /// `<tenant>.<account>.<date>.<id>.<content digest>`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, account, date, id, content, .. } = self;
        write!(formatter, "{tenant}.{account}.{date}.{id}.{content}")
    }
}

/// The id of the message that batches make up together. JetStream looks at nothing else, and not at the subject: so the id of
/// a packed message covers the partition and every entry's key and content. A letter says what follows it, and with that
/// how long it is.
pub fn message_id<'b>(partition: u16, batches: impl ExactSizeIterator<Item = &'b MessageId> + Clone) -> String {
    let mut first = batches.clone();
    if batches.len() == 1
        && let Some(MessageId::Launch(launch)) = first.next()
    {
        return launch.to_string();
    }
    let mut text = partition.to_string().into_bytes();
    text.reserve(batches.len() * LAUNCH_BYTES);
    for batch in batches {
        match batch {
            MessageId::Launch(launch) => {
                text.push(b'l');
                text.extend_from_slice(&launch.key.0);
                text.extend_from_slice(&launch.content.0);
            }
            MessageId::Packed(digest) => {
                text.push(b'p');
                text.extend_from_slice(&digest.0);
            }
        }
    }
    Digest::of(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(id: &str, content: &str) -> MessageId {
        MessageId::Launch(LaunchName {
            tenant: Tenant::parse("acme").unwrap(),
            account: Account::parse("store-1").unwrap(),
            date: BusinessDate::parse("2026-01-01").unwrap(),
            id: LaunchId::parse(id).unwrap(),
            key: Digest::of(id.as_bytes()),
            content: Digest::of(content.as_bytes()),
        })
    }

    fn id(partition: u16, launches: &[(&str, &str)]) -> String {
        let batches: Vec<_> = launches.iter().map(|(id, content)| launch(id, content)).collect();
        message_id(partition, batches.iter())
    }

    #[test]
    fn a_lone_launch_has_its_own_id() {
        let content = Digest::of(b"x");
        assert_eq!(id(0, &[("a", "x")]), format!("acme.store-1.2026-01-01.a.{content}"));
    }

    #[test]
    fn the_id_of_a_packed_message_covers_lane_entries_and_order() {
        let (a, b) = (("a", "x"), ("b", "y"));
        let packed = id(0, &[a, b]);
        assert_eq!(packed, id(0, &[a, b]), "a repetition");
        let others = [
            id(1, &[a, b]),
            id(0, &[b, a]),
            id(0, &[a, b, ("c", "x")]),
            id(0, &[a, ("c", "y")]),
            id(0, &[a, ("b", "z")]),
            id(0, &[a]),
        ];
        assert!(others.iter().all(|other| *other != packed), "{packed} {others:?}");
    }

    #[test]
    fn a_bulks_digest_is_told_from_a_launchs() {
        let bulk = |bytes: &[u8]| MessageId::Packed(Digest::of(bytes));
        let of = |batches: &[MessageId]| message_id(0, batches.iter());
        let ids = [
            of(&[bulk(b"a")]),
            of(&[bulk(b"b")]),
            of(&[bulk(b"a"), bulk(b"x")]),
            of(&[launch("a", "x"), bulk(b"a")]),
            of(&[bulk(b"a"), launch("a", "x")]),
        ];
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 5);
    }
}
