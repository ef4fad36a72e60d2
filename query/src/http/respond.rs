//! Answers with their headers.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use service::problem::Problem;

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
pub(super) fn served(served: &Served, headers: &HeaderMap) -> Response {
    let Served { answer, stamp } = served;
    respond(headers, answer.etag.clone(), stamp, || Body::from(answer.body(stamp)))
}

/// A list that is not cached.
pub(super) fn listed(listed: Listed, headers: &HeaderMap) -> Result<Response, Problem> {
    let Listed { json, stamp, etag } = listed;
    let etag = HeaderValue::try_from(etag)
        .map_err(|error| Problem::new(service::problem::kinds::INTERNAL, error.to_string()))?;
    Ok(respond(headers, etag, &stamp, || Body::from(json)))
}

fn respond(asked: &HeaderMap, etag: HeaderValue, stamp: &RenderedStamp, body: impl FnOnce() -> Body) -> Response {
    let has_it = has_it(asked, &etag);
    let mut answer = Response::new(if has_it { Body::empty() } else { body() });
    let mut headers = HeaderMap::with_capacity(HEADERS);
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
