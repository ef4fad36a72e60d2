//! An encoded answer as it is cached: without position, so that it stays true while the log moves on elsewhere.

use axum::http::HeaderValue;
use bytes::{Bytes, BytesMut};
use ledger::Digest;
use protocol::query::EntryKey;

use super::stamp::RenderedStamp;
use crate::read::{Context, Representation};

/// Part of every ETag: raised when the JSON of answers changes, so that no client keeps the old form.
const FORMAT: u32 = 2;

/// JSON as read, before it has an ETag.
#[derive(Debug)]
pub(crate) struct Written {
    /// Whole, or open at the end for position, time and completeness.
    pub(crate) json: String,
    /// The object ends with the stamp's tail.
    pub(crate) takes_stamp: bool,
    /// The account's static `applied`: the rows are those of this sequence.
    pub(crate) applied: u64,
}

/// An encoded answer.
#[derive(Debug)]
pub(crate) struct Answer {
    json: Bytes,
    takes_stamp: bool,
    /// Weak: names the content, not the position.
    pub(crate) etag: HeaderValue,
}

impl Answer {
    pub(crate) fn new(context: Context, key: &EntryKey<Representation>, written: Written) -> Self {
        let Context { log, generation, .. } = context;
        let etag = format!("W/\"{FORMAT}-{log}-{generation}-{}-{}\"", written.applied, name_of(key));
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { json: written.json.into(), takes_stamp: written.takes_stamp, etag }
    }

    /// The body to send with this stamp.
    pub(crate) fn body(&self, stamp: &RenderedStamp) -> Bytes {
        if !self.takes_stamp {
            return self.json.clone();
        }
        let mut body = BytesMut::with_capacity(self.json.len() + stamp.tail.len());
        body.extend_from_slice(&self.json);
        body.extend_from_slice(&stamp.tail);
        body.freeze()
    }

    /// Bytes of memory, for the cache's budget.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.json.len() + self.etag.len()
    }
}

/// Tells apart answers of equal `applied`: two tenants may have an account of one name, changed by one commit.
fn name_of(key: &EntryKey<Representation>) -> String {
    let EntryKey { account, until, representation } = key;
    let name = format!("{} {} {until} {representation:?}", account.tenant, account.account);
    let mut digest = Digest::of(name.as_bytes()).to_string();
    digest.truncate(12);
    digest
}

#[cfg(test)]
mod tests {
    use ledger::{Account, AccountKey, BusinessDate, Tenant};
    use protocol::log::{Incarnation, LogName};

    use super::*;

    #[test]
    fn etags_tell_tenants_and_representations_apart() {
        let etag_of = |stream_id: &str, tenant: &str, representation: Representation| {
            let account =
                AccountKey { tenant: Tenant::parse(tenant).unwrap(), account: Account::parse("store").unwrap() };
            let key = EntryKey { account, until: BusinessDate::MAX, representation };
            let written = Written { json: String::new(), takes_stamp: false, applied: 7 };
            let log = LogName { epoch: 1, incarnation: Incarnation::of(stream_id) };
            Answer::new(Context { log, generation: 2, partition: 0 }, &key, written).etag
        };
        let etag = |tenant: &str, representation| etag_of("a", tenant, representation);
        let day = etag("acme", Representation::Day);
        let name = format!("W/\"2-1.{}-2-7-", Incarnation::of("a"));
        assert!(day.to_str().unwrap().starts_with(&name), "{day:?}");
        assert_ne!(day, etag_of("b", "acme", Representation::Day));
        assert_eq!(day, etag("acme", Representation::Day));
        assert_ne!(day, etag("other", Representation::Day));
        assert_ne!(day, etag("acme", Representation::Balance));
    }
}
