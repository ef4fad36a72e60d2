//! A body read as a whole: an object or an array, within its own bound and within the room for all of them.

use bytes::{Bytes, BytesMut};
use service::{Problem, http::body::BodyReader, problem::kinds};
use tokio::sync::SemaphorePermit;

use crate::{
    flight::{Cause, Failure},
    shared::Shared,
};

use super::answer;

/// Room is taken in steps: one for a single launch, so that 16,384 of them fit into the default room at once.
pub(super) const STEP_KIB: u32 = 16;

/// A body with the room that it holds until it is dropped.
pub(super) struct Whole<'s> {
    pub(super) bytes: Bytes,
    _room: SemaphorePermit<'s>,
}

pub(super) async fn read<'s>(shared: &'s Shared, reader: &mut BodyReader) -> Result<Whole<'s>, Problem> {
    let limit_bytes = shared.config.bodies.max_body_bytes;
    if reader.announces_more_than(limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    let mut room = take_room(shared)?;
    let first = reader.next().await?.unwrap_or_default();
    let Some(second) = reader.next().await? else { return Ok(Whole { bytes: first, _room: room }) };
    let mut whole = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(more) = piece {
        whole.extend_from_slice(&more);
        if whole.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        while whole.len() > room.num_permits() * 1024 {
            room.merge(take_room(shared)?);
        }
        piece = reader.next().await?;
    }
    Ok(Whole { bytes: whole.freeze(), _room: room })
}

fn take_room(shared: &Shared) -> Result<SemaphorePermit<'_>, Problem> {
    let room = shared.body_room_kib.try_acquire_many(STEP_KIB);
    room.map_err(|_| answer::unavailable(shared, Failure::new(Cause::Overloaded)))
}

fn too_large(limit_bytes: usize) -> Problem {
    let detail = format!("an object or an array has at most {limit_bytes} bytes; NDJSON may have any length");
    Problem::new(kinds::BODY_TOO_LARGE, detail)
}
