//! A bulk as NDJSON: read piece by piece, in memory that does not grow with the body.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use ledger::Tenant;
use service::{
    Problem,
    http::{
        Answered,
        body::{BodyReader, Pace},
    },
    problem::kinds,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{answer, bulk_place};
use crate::{
    bulk::Bulk,
    flight::{Cause, Failure},
    lines::LineSplitter,
    shared::Shared,
    work::Work,
};

/// What a client must send in a window of patience: a bulk holds its place and its unfinished batches meanwhile.
const MIN_BYTES_A_WINDOW: usize = 16 * 1024;

pub(super) async fn take(shared: &Arc<Shared>, tenant: Tenant, reader: &mut BodyReader) -> Answered {
    let _place = bulk_place(shared, &tenant)?;
    reader.set_pace(pace(shared));
    let mut work = Work::new(Arc::clone(shared), tenant.clone());
    let (mut bulk, mut splitter) = (Bulk::new(Arc::clone(shared), tenant), LineSplitter::new());
    let mut lines = 0_u64;
    let mut broken = None;
    let mut stopping = pin!(stopping(shared));
    loop {
        let piece = match next_piece(stopping.as_mut(), reader, &mut bulk).await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(stop) => {
                broken = stop.problem;
                // The log is not at fault: what has been taken is still sent.
                bulk.flush().await;
                bulk.fail(Failure::new(stop.cause), splitter.ended() + 1);
                break;
            }
        };
        let mut rest = piece.as_ref();
        while !rest.is_empty() {
            work.go_on().await;
            rest = splitter.feed(rest, |number, line| {
                lines += 1;
                bulk.take(number, line);
            });
        }
        work.rest();
        bulk.send_full().await;
        if bulk.has_failed() {
            break;
        }
    }
    if !bulk.has_failed() {
        splitter.finish(|number, line| {
            lines += 1;
            bulk.take(number, line);
        });
    }
    if lines == 0 && !bulk.has_failed() {
        return Err(Problem::new(kinds::EMPTY_BODY, "the body holds no line"));
    }
    answer::bulk(shared, &bulk.finish().await, broken)
}

fn pace(shared: &Shared) -> Pace {
    let bodies = &shared.config.bodies;
    Pace { window_ms: bodies.patience_ms, min_bytes: MIN_BYTES_A_WINDOW, whole_ms: bodies.bulk_ms }
}

/// Why reading ends before the body does.
struct Stop {
    cause: Cause,
    /// The client's fault, if it is.
    problem: Option<Problem>,
}

/// The shutdown has begun, and the time in which a bulk may still end by itself is over.
async fn stopping(shared: &Shared) {
    shared.shutdown.begun().await;
    sleep(Duration::from_millis(shared.config.bodies.stop_bulk_ms)).await;
}

/// The next piece. Unfinished batches leave when they are due, however the pieces come: others may wait for their ids.
async fn next_piece(
    mut stopping: Pin<&mut impl Future<Output = ()>>,
    reader: &mut BodyReader,
    bulk: &mut Bulk,
) -> Result<Option<Bytes>, Stop> {
    let mut piece = pin!(reader.next());
    loop {
        let flush_at = bulk.flush_at();
        let now = Instant::now();
        if flush_at.is_some_and(|due| due <= now) {
            bulk.flush().await;
            continue;
        }
        tokio::select! {
            biased;
            () = stopping.as_mut() => return Err(Stop { cause: Cause::ShuttingDown, problem: None }),
            read = piece.as_mut() => {
                return read.map_err(|problem| Stop { cause: Cause::BrokenOff, problem: Some(problem) });
            }
            () = sleep_until(flush_at.unwrap_or(now)), if flush_at.is_some() => {}
        }
    }
}
