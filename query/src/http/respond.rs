//! Answers with their headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use service::{
    http::{Answered, Whole},
    problem::Problem,
};

use super::{conditional::has_it, stamp::RenderedStamp};
use crate::reader::{Listed, Served};

const POSITION: HeaderName = HeaderName::from_static("saldo-position");
const APPLIED_AT: HeaderName = HeaderName::from_static("saldo-applied-at");
const COMPLETE: HeaderName = HeaderName::from_static("saldo-complete");
/// Answers belong to one tenant, and change at any time: whoever keeps one asks before using it.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// All headers of an answer, with room for those that the server adds.
const HEADERS: usize = 12;

/// An answer about an account.
pub(super) fn served(served: &Served, headers: HeaderMap) -> Whole {
    let Served { answer, stamp } = served;
    respond(headers, answer.etag.clone(), stamp, || answer.body(stamp))
}

/// A list that is not cached.
pub(super) fn listed(listed: Listed, headers: HeaderMap) -> Answered {
    let Listed { json, stamp, etag } = listed;
    let etag = HeaderValue::try_from(etag)
        .map_err(|error| Problem::new(service::problem::kinds::INTERNAL, error.to_string()))?;
    Ok(respond(headers, etag, &stamp, || json.into()))
}

/// `headers` are the caller's. The answer's take their place in memory: the server hands that from request to answer and back.
fn respond(mut headers: HeaderMap, etag: HeaderValue, stamp: &RenderedStamp, body: impl FnOnce() -> Bytes) -> Whole {
    let has_it = has_it(&headers, &etag);
    headers.clear();
    headers.reserve(HEADERS);
    let mut answer: Whole = Response::new(if has_it { Bytes::new() } else { body() }.into());
    if has_it {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(POSITION, stamp.position.clone());
    headers.insert(APPLIED_AT, stamp.applied_at.clone());
    headers.insert(COMPLETE, stamp.complete.clone());
    *answer.headers_mut() = headers;
    answer
}
