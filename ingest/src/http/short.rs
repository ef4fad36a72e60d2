//! The short way of a post that holds one launch.

use std::{future::Future, sync::Arc};

use axum::http::{Method, Request, Uri, header};
use service::http::{Answered, ShortWay, Taken, body::RequestBody};

use super::{LAUNCHES, answer, media};
use crate::shared::Shared;

/// Longest body that is taken: longer ones seldom come at once.
const MAX_BYTES: u64 = 16 * 1024;

/// Takes `POST /v1/launches` with plain JSON of a length that is told and small. What answers it is the route's own handler.
pub(crate) struct PlainPosts(pub(crate) Arc<Shared>);

impl ShortWay for PlainPosts {
    const ROUTE: &'static str = LAUNCHES;

    fn recognises(&self, method: &Method, uri: &Uri) -> bool {
        is_post_of_launches(method, uri)
    }

    fn take(&self, request: Request<RequestBody>) -> Taken<impl Future<Output = Answered> + Send> {
        if !is_plain(&request) {
            return Taken::Refused(request);
        }
        let (head, body) = request.into_parts();
        let headers = head.headers;
        Taken::Waiting(async move { answer(&self.0, &headers, body).await })
    }
}

fn is_post_of_launches(method: &Method, uri: &Uri) -> bool {
    *method == Method::POST && uri.query().is_none() && uri.path() == LAUNCHES
}

fn is_plain(request: &Request<RequestBody>) -> bool {
    let is_short = request.body().length_bytes().is_some_and(|length| length <= MAX_BYTES);
    is_short && media::is_plain_json(request.headers()) && !request.headers().contains_key(header::EXPECT)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::request::Builder};

    use super::*;

    fn takes(request: Builder, body: Body) -> bool {
        let request = request.body(RequestBody::from(body)).unwrap();
        is_post_of_launches(request.method(), request.uri()) && is_plain(&request)
    }

    #[test]
    fn plain_json_of_a_small_length_is_taken_and_nothing_else() {
        let post = || Request::post(LAUNCHES).header("content-type", "application/json");
        assert!(takes(post(), Body::from("{}")));
        assert!(takes(post(), Body::empty()), "the handler says what is wrong with it");
        let others = [
            post().method("PUT"),
            post().uri("/v1/launches?"),
            post().uri("/v1/launches/"),
            post().header("expect", "100-continue"),
            post().header("content-encoding", "identity"),
            Request::post(LAUNCHES),
            Request::post(LAUNCHES).header("content-type", "application/json; charset=utf-8"),
            Request::post(LAUNCHES).header("content-type", "application/x-ndjson"),
        ];
        for other in others {
            let what = format!("{other:?}");
            assert!(!takes(other, Body::from("{}")), "{what}");
        }
        assert!(takes(post(), Body::from(vec![b' '; 16 * 1024])));
        assert!(!takes(post(), Body::from(vec![b' '; 16 * 1024 + 1])));
        let of_no_length = Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
        assert!(!takes(post(), of_no_length));
    }
}
