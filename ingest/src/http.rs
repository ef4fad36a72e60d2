//! `POST /v1/launches`: which form the body has, and the way of each.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{FromRef, State},
    http::{HeaderMap, header},
    routing::post,
};
use ledger::Tenant;
use service::{
    Authenticator, Problem,
    fair::Permit,
    http::{
        Answered,
        body::{BodyReader, Pace, RequestBody},
    },
    problem::kinds,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{flight::Cause, shared::Shared};

mod answer;
mod array;
mod idempotency_key;
mod media;
mod ndjson;
mod object;
mod short;
mod whole;

use media::Form;
pub(crate) use short::PlainPosts;
pub use whole::BodyRoom;

/// What is read and thrown away of a refused body, so that a connection with a short one can be used again.
const DISCARD_BYTES: usize = 256 * 1024;
const DISCARD_MS: u64 = 100;

/// What is posted here; a single launch has a short way.
const LAUNCHES: &str = "/v1/launches";

/// The routes of ingest.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().route(LAUNCHES, post(post_launches)).with_state(App(shared))
}

#[derive(Clone)]
struct App(Arc<Shared>);

impl FromRef<App> for Authenticator {
    fn from_ref(app: &App) -> Self {
        app.0.authenticator.clone()
    }
}

async fn post_launches(State(App(shared)): State<App>, headers: HeaderMap, body: Body) -> Answered {
    answer(&shared, &headers, body.into()).await
}

async fn answer(shared: &Arc<Shared>, headers: &HeaderMap, body: RequestBody) -> Answered {
    let mut reader = BodyReader::new(body, pace(shared));
    let answered = take(shared, headers, &mut reader).await;
    if answered.is_err() && !headers.contains_key(header::EXPECT) {
        reader.discard(DISCARD_BYTES, DISCARD_MS).await;
    }
    answered
}

fn pace(shared: &Shared) -> Pace {
    let bodies = &shared.config.bodies;
    Pace { window_ms: bodies.patience_ms, whole_ms: bodies.whole_ms, ..Pace::default() }
}

async fn take(shared: &Arc<Shared>, headers: &HeaderMap, reader: &mut BodyReader) -> Answered {
    let tenant = shared.authenticator.tenant(headers)?;
    let form = media::form(headers)?;
    shared.check_log().await.map_err(|failure| answer::unavailable(shared, failure))?;
    match form {
        Form::Lines => {
            idempotency_key::refuse(headers)?;
            take_lines(shared, tenant, reader).await
        }
        Form::Json => take_json(shared, headers, tenant, reader).await,
    }
}

async fn take_json(shared: &Arc<Shared>, headers: &HeaderMap, tenant: Tenant, reader: &mut BodyReader) -> Answered {
    let body = whole::read(shared, &tenant, pace(shared), reader).await?;
    let text = whole::text_of(&body.bytes);
    match text.first() {
        None => Err(Problem::new(kinds::EMPTY_BODY, "the body holds no launch")),
        Some(b'[') => {
            idempotency_key::refuse(headers)?;
            let (to_read, text) = (Arc::clone(shared), body.bytes.slice_ref(text));
            as_bulk(shared, async move { array::take(&to_read, tenant, text).await }).await?
        }
        Some(_) => object::take(shared, headers, tenant, text.trim_ascii_end()).await,
    }
}

/// The body goes along to where bulks are read, and comes back for what is left of it.
async fn take_lines(shared: &Arc<Shared>, tenant: Tenant, reader: &mut BodyReader) -> Answered {
    let to_read = Arc::clone(shared);
    let mut body = std::mem::replace(reader, BodyReader::new(Body::empty().into(), pace(shared)));
    let read = async move {
        let answered = ndjson::take(&to_read, tenant, &mut body).await;
        (answered, body)
    };
    let (answered, body) = as_bulk(shared, read).await?;
    *reader = body;
    answered
}

/// Runs the reading of a bulk where that delays nobody else; it ends with the request.
async fn as_bulk<T: Send + 'static>(
    shared: &Shared,
    read: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    let read = AbortOnDropHandle::new(shared.bulks.spawn(read));
    read.await.map_err(|error| Problem::new(kinds::INTERNAL, error.to_string()))
}

/// A place for a bulk.
fn bulk_place(shared: &Shared, tenant: &Tenant) -> Result<Permit, Problem> {
    shared.bulk_places.try_take(tenant, 1).ok_or_else(|| {
        shared.lanes.metrics.unavailable(Cause::Overloaded);
        let detail = "as many bulks of this tenant are being read as its share allows";
        Problem::new(kinds::TOO_MANY_REQUESTS, detail).retry_after(1)
    })
}
