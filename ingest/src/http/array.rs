//! A bulk as one JSON array. The text is there as a whole, so it is checked as a whole first: an array that ends badly
//! books nothing.

use std::{fmt, sync::Arc};

use ledger::Tenant;
use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use service::{Problem, http::Answered, problem::kinds};

use super::{answer, bulk_place};
use crate::{bulk::Bulk, lines::Line, shared::Shared};

pub(super) async fn take(shared: &Arc<Shared>, tenant: Tenant, text: &[u8]) -> Answered {
    let _place = bulk_place(shared)?;
    let mut bulk = Bulk::new(Arc::clone(shared), tenant);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = reader.deserialize_seq(Elements(&mut bulk)).and_then(|()| reader.end());
    read.map_err(|error| Problem::new(kinds::MALFORMED, format!("the array cannot be read: {error}")))?;
    bulk.send_full().await;
    answer::bulk(shared, &bulk.finish().await, None)
}

/// Gives the elements to the bulk one by one, so that no list of them is built.
struct Elements<'b>(&'b mut Bulk);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of launches")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            number += 1;
            self.0.take(number, Line::Text(element.get().as_bytes()));
        }
        Ok(())
    }
}
