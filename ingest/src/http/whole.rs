//! A body read as a whole: an object or an array, within its own bound and within the room for all of them.
//!
//! | so much of it is there | it holds |
//! |---|---|
//! | the first piece | the read buffer of its connection, nothing else |
//! | up to 64 KiB, and more is to come | a place, and room for short bodies, in steps |
//! | more | a place, and room for long bodies, in longer steps |
//!
//! So a single launch never waits behind long bodies, and hardly one waits behind anything at all. Places and room are
//! shared fairly between tenants, and what holds more must come faster.

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use ledger::{Invalid, MAX_LINE_BYTES, Reason, Tenant};
use service::{
    Problem,
    fair::{FairPool, Permit},
    http::body::{BodyReader, Pace},
    problem::kinds,
};

use super::answer;
use crate::{
    config::BodyConfig,
    flight::{Cause, Failure},
    shared::Shared,
};

/// Room for long bodies is taken in steps.
const STEP_BYTES: usize = 64 * 1024;

/// Room for short bodies is taken in smaller ones: as many launches as the default bound of connections come at once.
const SHORT_STEP_BYTES: usize = 4 * 1024;

/// The part of the bytes for all bodies that is kept for short ones.
const SHORT_PART: usize = 4;

/// Where bodies are read, shared between tenants.
#[derive(Debug)]
pub struct BodyRoom {
    /// Bodies that do not come at once.
    places: FairPool,
    /// For those of at most one launch, in [`SHORT_STEP_BYTES`].
    short: FairPool,
    /// In [`STEP_BYTES`].
    long: FairPool,
}

impl BodyRoom {
    /// Room as the bounds say. Bodies that are slow have as many places as there are connections, so that a tenant whose
    /// bodies are slow leaves connections to others.
    pub fn new(bounds: &BodyConfig, max_connections: usize) -> Self {
        let short_bytes = bounds.max_bodies_bytes / SHORT_PART;
        let long_bytes = bounds.max_bodies_bytes - short_bytes;
        Self {
            places: FairPool::new(max_connections),
            short: FairPool::new(short_bytes / SHORT_STEP_BYTES),
            long: FairPool::new(long_bytes / STEP_BYTES),
        }
    }
}

/// A body with what it holds until it is dropped.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _held: Option<(Permit, Permit)>,
}

pub(super) async fn read(
    shared: &Shared,
    tenant: &Tenant,
    pace: Pace,
    reader: &mut BodyReader,
) -> Result<Whole, Problem> {
    let limit_bytes = shared.config.bodies.max_body_bytes;
    if reader.announces_more_than(limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    let mut whole = BytesMut::new();
    let mut piece = reader.next().now_or_never().transpose()?;
    if let Some(first) = piece {
        piece = reader.next().now_or_never().transpose()?;
        let bytes = first.unwrap_or_default();
        if matches!(piece, Some(None)) || bytes.is_empty() {
            return Ok(Whole { bytes, _held: None });
        }
        whole.extend_from_slice(&bytes);
    }
    let room = &shared.body_room;
    let place = room.places.try_take(tenant, 1).ok_or_else(|| no_room(shared))?;
    let mut held = room.short.try_take(tenant, 1).ok_or_else(|| no_room(shared))?;
    let mut step_bytes = SHORT_STEP_BYTES;
    loop {
        let next = match piece.take() {
            Some(ready) => ready,
            None => reader.next().await?,
        };
        let Some(next) = next else { break };
        whole.extend_from_slice(&next);
        if whole.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        if whole.len() > MAX_LINE_BYTES && step_bytes != STEP_BYTES {
            refuse_long_object(shared, &whole)?;
            held = room.long.try_take(tenant, 1).ok_or_else(|| no_room(shared))?;
            step_bytes = STEP_BYTES;
        }
        if !reaches(&mut held, whole.len().div_ceil(step_bytes)) {
            return Err(no_room(shared));
        }
        reader.set_pace(pace.holding(whole.len()));
    }
    Ok(Whole { bytes: whole.freeze(), _held: Some((place, held)) })
}

/// Grows the room to so many steps, if there is as much.
fn reaches(held: &mut Permit, steps: usize) -> bool {
    let missing = steps.saturating_sub(held.units());
    missing == 0 || held.grow(missing)
}

/// Only an array may be longer than a launch: what is none is not read to its end.
fn refuse_long_object(shared: &Shared, begun: &[u8]) -> Result<(), Problem> {
    if text_of(begun).first() == Some(&b'[') {
        return Ok(());
    }
    let invalid = Invalid::new(Reason::LineTooLong, format!("a launch has at most {MAX_LINE_BYTES} bytes"));
    shared.lanes.metrics.rejected(invalid.reason.slug(), 1);
    Err(invalid.into())
}

/// The text without byte-order mark and white space before it.
pub(super) fn text_of(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start()
}

fn no_room(shared: &Shared) -> Problem {
    answer::unavailable(shared, Failure::new(Cause::Overloaded))
}

fn too_large(limit_bytes: usize) -> Problem {
    let detail = format!("an array has at most {limit_bytes} bytes; NDJSON may have any length");
    Problem::new(kinds::BODY_TOO_LARGE, detail)
}
