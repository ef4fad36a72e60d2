//! The launches of a day, in log order, as they stand on the log.

use std::fmt::Write as _;

use bytes::Bytes;
use ledger::{AccountKey, BusinessDate, Fact, Place, WindowKey};
use protocol::position::Position;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use store::{AccountRead, LaunchesPage, Store, StoreError};

use super::{Context, statement::write_end};
use crate::http::{answer::Written, cursor};

/// A page ends when its JSON has this many bytes, whatever its limit: lines may have 64 KiB each.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// Launches read at once: at the longest lines this is 4 MiB in memory.
const LAUNCHES_AT_ONCE: usize = 64;
/// JSON written before others are let run: well within a millisecond.
const BYTES_A_SLICE: usize = 64 * 1024;

/// Which launches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) date: BusinessDate,
    pub(super) after: Option<Place>,
    pub(super) limit: u16,
}

/// A page of launches. Balance rows are looked at first: what the journal has above `upto(applied)` is not yet counted in
/// them.
pub(super) async fn launches(
    store: &dyn Store,
    context: Context,
    account: &AccountKey,
    page: &Page,
    upto: impl Fn(Option<u64>) -> u64,
) -> Result<Option<Written>, StoreError> {
    let view = store.account_view(&AccountRead { key: account.clone(), ranges: Vec::new() }).await?;
    let Some(applied) = view.applied else { return Ok(None) };
    let window = WindowKey { tenant: account.tenant.clone(), account: account.account.clone(), date: page.date };
    let mut list = List::new(context);
    while list.wants_more(page) {
        let limit = LAUNCHES_AT_ONCE.min(usize::from(page.limit) - list.count);
        let after = list.last.or(page.after);
        list.take(page, store.launches(&window, after, upto(Some(applied)), limit).await?).await;
    }
    let next = list.last.filter(|_| list.more).map(|last| cursor::of_launch(context.log, &window, last));
    write_end(&mut list.json, next.as_deref());
    Ok(Some(Written { json: list.json, takes_stamp: false, applied }))
}

/// The page as it grows.
struct List {
    context: Context,
    json: String,
    count: usize,
    last: Option<Place>,
    more: bool,
}

impl List {
    fn new(context: Context) -> Self {
        Self { context, json: String::from("{\"items\":["), count: 0, last: None, more: true }
    }

    fn wants_more(&self, page: &Page) -> bool {
        self.more && self.count < usize::from(page.limit) && self.json.len() < MAX_PAGE_BYTES
    }

    async fn take(&mut self, page: &Page, read: LaunchesPage) {
        let mut others_ran_at = self.json.len();
        self.more = read.more && !read.facts.is_empty();
        for fact in read.facts {
            if !self.wants_room(page, &fact) {
                self.more = true;
                return;
            }
            self.push(&fact);
            if self.json.len() - others_ran_at > BYTES_A_SLICE {
                tokio::task::yield_now().await;
                others_ran_at = self.json.len();
            }
        }
    }

    /// Facts of one place are never cut apart.
    fn wants_room(&self, page: &Page, fact: &Fact) -> bool {
        let room = self.count < usize::from(page.limit) && self.json.len() < MAX_PAGE_BYTES;
        room || self.last == Some(fact.place)
    }

    fn push(&mut self, fact: &Fact) {
        self.json.push_str(if self.count == 0 { "" } else { "," });
        let Context { log, partition, .. } = self.context;
        let position = Position::of_lane(log, partition, fact.place.sequence);
        write_launch(&mut self.json, &fact.line, &position);
        self.count += 1;
        self.last = Some(fact.place);
    }
}

/// The line's object with `position` added; a field of that name which the caller had sent gives way.
fn write_launch(json: &mut String, line: &Bytes, position: &Position) {
    let fields = serde_json::from_slice::<Fields<'_>>(line).map(|fields| fields.0).unwrap_or_default();
    json.push('{');
    for (name, value) in fields.iter().filter(|(name, _)| name != "\"position\"") {
        let _written = write!(json, "{name}:{},", value.get());
    }
    let _written = write!(json, "\"position\":\"{position}\"}}");
}

/// The fields of an object in their order, names (quoted) and values as they were written.
#[derive(Default)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<std::borrow::Cow<'de, str>, &'de RawValue>()? {
            let quoted = serde_json::to_string(name.as_ref()).map_err(serde::de::Error::custom)?;
            fields.push((quoted, value));
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use protocol::log::{Incarnation, LogName};

    use super::*;

    fn log() -> LogName {
        LogName { epoch: 1, incarnation: Incarnation::of("s") }
    }

    fn written(line: &str) -> String {
        let mut json = String::new();
        let position = Position::of_lane(log(), 2, 7);
        write_launch(&mut json, &Bytes::copy_from_slice(line.as_bytes()), &position);
        json.replace(&position.to_string(), "P")
    }

    #[test]
    fn fields_keep_their_order_and_their_text() {
        let line = r#" {"id":"a", "amount":1.50,"x":{"b":1, "a":[2]},"n\u00e4me":"\u00e9"} "#;
        assert_eq!(written(line), r#"{"id":"a","amount":1.50,"x":{"b":1, "a":[2]},"näme":"\u00e9","position":"P"}"#);
    }

    #[test]
    fn a_position_that_the_caller_sent_gives_way() {
        assert_eq!(written(r#"{"position":"mine","id":"a"}"#), r#"{"id":"a","position":"P"}"#);
        assert_eq!(written("{}"), r#"{"position":"P"}"#);
    }
}
