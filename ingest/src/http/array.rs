//! A bulk as one JSON array. The text is there as a whole, so it is checked as a whole first: an array that ends badly
//! books nothing. Both passes go from element to element and let others run in between.

use std::sync::Arc;

use bytes::Bytes;
use ledger::Tenant;
use service::{Problem, http::Answered, problem::kinds};
use tokio::time::Instant;

use super::{answer, bulk_place};
use crate::{
    bulk::Bulk,
    flight::{Cause, Failure},
    lines::Line,
    shared::Shared,
    work::Work,
};

mod elements;

use elements::{Elements, Step};

/// No launch is as short. An array has at most as many elements as launches fit into the longest one: a longer one costs
/// more than its bytes.
const MIN_ELEMENT_BYTES: usize = 32;

/// How many elements are taken between two looks at whether unfinished batches are due: others may wait for their ids.
const ELEMENTS_A_LOOK: usize = 64;

pub(super) async fn take(shared: &Arc<Shared>, tenant: Tenant, text: Bytes) -> Answered {
    let _place = bulk_place(shared, &tenant)?;
    let mut work = Work::new(Arc::clone(shared), tenant.clone());
    check(shared, &text, &mut work).await?;
    let mut bulk = Bulk::new(Arc::clone(shared), tenant);
    read(&text, &mut work, &mut bulk).await?;
    work.rest();
    answer::bulk(shared, &bulk.finish().await, None)
}

/// Reads the array without looking into its elements.
async fn check(shared: &Shared, text: &Bytes, work: &mut Work) -> Result<(), Problem> {
    let most = shared.config.bodies.max_body_bytes / MIN_ELEMENT_BYTES;
    let mut elements = Elements::new(text.clone());
    while let Some(_element) = next(&mut elements, work).await? {
        if elements.count() > most {
            return Err(Problem::new(kinds::BODY_TOO_LARGE, format!("an array has at most {most} elements")));
        }
        if work.is_over() {
            return Err(answer::unavailable(shared, Failure::new(Cause::ShuttingDown)));
        }
    }
    Ok(())
}

/// Gives the elements to the bulk one by one, so that no list of them is built, until the stop leaves no time.
async fn read(text: &Bytes, work: &mut Work, bulk: &mut Bulk) -> Result<(), Problem> {
    let mut elements = Elements::new(text.clone());
    while let Some(element) = next(&mut elements, work).await? {
        let number = u64::try_from(elements.count()).unwrap_or(u64::MAX);
        if work.is_over() {
            bulk.flush().await;
            bulk.fail(Failure::new(Cause::ShuttingDown), number);
        }
        bulk.take(number, element.as_deref().map_or(Line::TooLong, Line::Text));
        if bulk.has_full() {
            work.rest();
            bulk.send_full().await;
        } else if elements.count().is_multiple_of(ELEMENTS_A_LOOK) && bulk.is_due(Instant::now()) {
            work.rest();
            bulk.flush().await;
        }
        if bulk.has_failed() {
            break;
        }
    }
    Ok(())
}

/// The next element, `None` at the end of the array; `Some(None)` is one that is longer than a launch may be.
async fn next(elements: &mut Elements, work: &mut Work) -> Result<Option<Option<Bytes>>, Problem> {
    loop {
        work.go_on().await;
        match elements.step().map_err(|error| malformed(&error))? {
            Step::Space => {}
            Step::Element(text) => return Ok(Some(Some(text))),
            Step::End => return Ok(None),
            Step::Long => {
                work.rest();
                let rest = elements.rest();
                let skipped = tokio::task::spawn_blocking(move || elements::length_of_first(&rest)).await;
                let length = skipped.map_err(|error| Problem::new(kinds::INTERNAL, error.to_string()))?;
                elements.skip(length.map_err(|error| malformed(&error))?);
                return Ok(Some(None));
            }
        }
    }
}

fn malformed(error: &elements::Broken) -> Problem {
    Problem::new(kinds::MALFORMED, format!("the array cannot be read: {error}"))
}
