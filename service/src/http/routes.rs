//! A service's routes with what every answer has, and the short way beside them.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tower::Service;

use super::{
    body::{AnswerBody, RequestBody},
    edge::{Begun, Edge},
    short::{Answered, RouterOnly, ShortWay, Taken},
};
use crate::metrics::KnownRoute;

/// What [`super::serve`] serves: made by [`super::finish`].
pub struct Routes<S = RouterOnly> {
    router: Router,
    edge: Arc<Edge>,
    short: S,
    short_route: KnownRoute,
}

/// How a request is answered.
enum Way<F> {
    Answered(Response<AnswerBody>),
    Waiting(Begun, F),
    Router(Request<Body>),
}

impl Routes {
    pub(super) fn new(router: Router, edge: Arc<Edge>) -> Self {
        Self { router, edge, short: RouterOnly, short_route: KnownRoute::default() }
    }

    /// The same, with a shorter way to the answers of one of the routes.
    pub fn with_short_way<S: ShortWay>(self, short: S) -> Routes<S> {
        let Self { router, edge, short_route, .. } = self;
        Routes { router, edge, short, short_route }
    }
}

impl<S: ShortWay> Routes<S> {
    /// Answers a request. What needs no waiting is answered before the future is made: then nothing of the request's head is
    /// left when the connection looks for the next one, which finds its buffer free.
    pub(super) fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send {
        let way = self.way(request);
        async move {
            match way {
                Way::Answered(answer) => answer,
                Way::Waiting(begun, answered) => self.end(begun, AssertUnwindSafe(answered).catch_unwind().await.ok()),
                Way::Router(request) => {
                    let Ok(answer) = self.router.clone().call(request).await;
                    answer.map(AnswerBody::Routed)
                }
            }
        }
    }

    fn way(&self, request: Request<Incoming>) -> Way<impl Future<Output = Answered> + Send> {
        if !self.short.recognises(request.method(), request.uri()) {
            return Way::Router(request.map(Body::new));
        }
        let begun = self.edge.begin(&request);
        let request = request.map(RequestBody::Incoming);
        match catch_unwind(AssertUnwindSafe(|| self.short.take(request))) {
            Ok(Taken::Answered(answered)) => Way::Answered(self.end(begun, Some(answered))),
            Ok(Taken::Waiting(answered)) => Way::Waiting(begun, answered),
            Ok(Taken::Refused(request)) => Way::Router(request.map(Body::from)),
            Err(_panic) => Way::Answered(self.end(begun, None)),
        }
    }

    /// Adds what every answer has; `None` of one whose handler panicked.
    fn end(&self, begun: Begun, answered: Option<Answered>) -> Response<AnswerBody> {
        let answered = answered.unwrap_or_else(|| Err(begun.panicked()));
        let mut answer = answered.unwrap_or_else(|problem| problem.to_response(begun.id()));
        self.edge.end(begun, &mut answer, |metrics, status, elapsed| {
            metrics.note_known(&self.short_route, S::ROUTE, status, elapsed);
        });
        note_emptiness(&mut answer);
        answer.map(AnswerBody::Whole)
    }
}

/// The router tells every length. The connection does so by itself, except of an answer that may have no body.
fn note_emptiness(answer: &mut Response<Full<Bytes>>) {
    if answer.body().is_end_stream() {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}
