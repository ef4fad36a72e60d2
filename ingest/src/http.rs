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
    http::{
        Answered,
        body::{BodyReader, Pace, RequestBody},
    },
    problem::kinds,
};

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
    let pace = Pace { window_ms: shared.config.bodies.patience_ms, ..Pace::default() };
    let mut reader = BodyReader::new(body, pace);
    let answered = take(shared, headers, &mut reader).await;
    if answered.is_err() && !headers.contains_key(header::EXPECT) {
        reader.discard(DISCARD_BYTES, DISCARD_MS).await;
    }
    answered
}

/// Bulks are boxed: a single launch would carry their room along.
async fn take(shared: &Arc<Shared>, headers: &HeaderMap, reader: &mut BodyReader) -> Answered {
    let tenant = shared.authenticator.tenant(headers)?;
    let form = media::form(headers)?;
    shared.check_log().map_err(|failure| answer::unavailable(shared, failure))?;
    match form {
        Form::Lines => {
            idempotency_key::refuse(headers)?;
            Box::pin(ndjson::take(shared, tenant, reader)).await
        }
        Form::Json => take_json(shared, headers, tenant, reader).await,
    }
}

async fn take_json(shared: &Arc<Shared>, headers: &HeaderMap, tenant: Tenant, reader: &mut BodyReader) -> Answered {
    let body = whole::read(shared, reader).await?;
    let text = body.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body.bytes).trim_ascii();
    match text.first() {
        None => Err(Problem::new(kinds::EMPTY_BODY, "the body holds no launch")),
        Some(b'[') => {
            idempotency_key::refuse(headers)?;
            Box::pin(array::take(shared, tenant, text)).await
        }
        Some(_) => object::take(shared, headers, tenant, text).await,
    }
}

/// A place for a bulk.
fn bulk_place(shared: &Shared) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
    Arc::clone(&shared.bulk_places).try_acquire_owned().map_err(|_| {
        shared.lanes.metrics.unavailable(Cause::Overloaded);
        let bulks = shared.config.bodies.max_bulks;
        Problem::new(kinds::TOO_MANY_REQUESTS, format!("{bulks} bulks are being read already")).retry_after(1)
    })
}
