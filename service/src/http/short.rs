//! Short ways: the hottest request of a service is answered without the router.
//!
//! A short way knows one route. What it takes it answers exactly as the router's handler would, by the same functions; what
//! is not plainly the hot case it gives back, and the router answers. So no rule stands in two places, and leaving a short
//! way out changes nothing but the time that answers take.

use std::future::{Future, Ready};

use axum::http::{Method, Request, Response, Uri};
use bytes::Bytes;
use http_body_util::Full;

use super::body::RequestBody;
use crate::problem::Problem;

/// An answer that is there as a whole.
pub type Whole = Response<Full<Bytes>>;

/// An answer as handlers give it.
pub type Answered = Result<Whole, Problem>;

/// What became of a request on a short way.
pub enum Taken<F> {
    /// It is answered.
    Answered(Answered),
    /// It will be.
    Waiting(F),
    /// The router answers it. The request, as it was.
    Refused(Request<RequestBody>),
}

/// A shorter way to the answers of one route.
pub trait ShortWay: Send + Sync + 'static {
    /// The pattern of the route as the router has it: answers count under it.
    const ROUTE: &'static str;

    /// Whether it may be one of this route, by a glance.
    fn recognises(&self, method: &Method, uri: &Uri) -> bool;

    /// Answers a request that was recognised, or gives it back. The future is a part of each connection's memory and is moved
    /// into it with each request, so it should be small.
    fn take(&self, request: Request<RequestBody>) -> Taken<impl Future<Output = Answered> + Send>;
}

/// No short way: the router answers everything.
#[derive(Clone, Copy, Debug)]
pub struct RouterOnly;

impl ShortWay for RouterOnly {
    const ROUTE: &'static str = "";

    fn recognises(&self, _method: &Method, _uri: &Uri) -> bool {
        false
    }

    fn take(&self, request: Request<RequestBody>) -> Taken<impl Future<Output = Answered> + Send> {
        Taken::<Ready<Answered>>::Refused(request)
    }
}
