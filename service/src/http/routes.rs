//! A service's routes with what every answer has, and the short way beside them.

use std::{
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
use hyper::body::Body as _;
use tower::Service;

use super::{
    body::{AnswerBody, RequestBody},
    edge::{Begun, Edge},
    hosts::Hosts,
    short::{Answered, RouterOnly, ShortWay, Taken},
    watched::WatchedBody,
};
use crate::{metrics::KnownRoute, problem::Problem};

/// What [`super::serve`] serves: made by [`super::finish`].
pub struct Routes<S = RouterOnly> {
    router: Router,
    edge: Arc<Edge>,
    hosts: Hosts,
    short: S,
    short_route: KnownRoute,
}

impl Routes {
    pub(super) fn new(router: Router, edge: Arc<Edge>) -> Self {
        Self { router, edge, hosts: Hosts::Any, short: RouterOnly, short_route: KnownRoute::default() }
    }

    /// The same, with a shorter way to the answers of one of the routes.
    pub fn with_short_way<S: ShortWay>(self, short: S) -> Routes<S> {
        let Self { router, edge, hosts, short_route, .. } = self;
        Routes { router, edge, hosts, short, short_route }
    }
}

impl<S: ShortWay> Routes<S> {
    /// The same, answering for these hosts only.
    pub(super) fn for_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<WatchedBody>) -> Response<AnswerBody> {
        if let Err(problem) = self.hosts.check(&request) {
            return self.refuse(&request, &problem);
        }
        if !self.short.recognises(request.method(), request.uri()) {
            return self.by_router(request.map(Body::new)).await;
        }
        let begun = self.edge.begin(&request);
        let request = request.map(RequestBody::from);
        match catch_unwind(AssertUnwindSafe(|| self.short.take(request))) {
            Ok(Taken::Answered(answered)) => self.end(begun, Some(answered)),
            Ok(Taken::Waiting(answered)) => self.end(begun, AssertUnwindSafe(answered).catch_unwind().await.ok()),
            Ok(Taken::Refused(request)) => self.by_router(request.map(Body::from)).await,
            Err(_panic) => self.end(begun, None),
        }
    }

    /// Before any route is looked for.
    fn refuse<B>(&self, request: &Request<B>, problem: &Problem) -> Response<AnswerBody> {
        let begun = self.edge.begin(request);
        let mut answer = problem.to_response(begun.id());
        self.edge.end(begun, &mut answer, |metrics, status, elapsed| metrics.note(None, status, elapsed));
        answer.map(AnswerBody::Left)
    }

    async fn by_router(&self, request: Request<Body>) -> Response<AnswerBody> {
        let Ok(answer) = self.router.clone().call(request).await;
        answer.map(AnswerBody::Right)
    }

    /// Adds what every answer has; `None` of one whose handler panicked.
    fn end(&self, begun: Begun, answered: Option<Answered>) -> Response<AnswerBody> {
        let answered = answered.unwrap_or_else(|| Err(begun.panicked()));
        let mut answer = answered.unwrap_or_else(|problem| problem.to_response(begun.id()));
        self.edge.end(begun, &mut answer, |metrics, status, elapsed| {
            metrics.note_known(&self.short_route, S::ROUTE, status, elapsed);
        });
        note_emptiness(&mut answer);
        answer.map(AnswerBody::Left)
    }
}

/// The router tells every length. The connection does so by itself, except of an answer that may have no body.
fn note_emptiness(answer: &mut Response<Full<Bytes>>) {
    if answer.body().is_end_stream() {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}
