//! Refusals: problem details (RFC 9457) with a slug that callers may rely on, explained in `docs/errors.md`.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::Full;
use ledger::{Invalid, Reason};
use serde_json::{Map, Value};

pub mod kinds;

pub use kinds::ProblemKind;

/// The media type of problem details.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What `type` begins with; the slug follows.
pub const TYPE_PREFIX: &str = "urn:saldo:problem:";

/// A refusal, as it goes to the caller. Never put credentials or bodies into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What kind of refusal: slug, status, title.
    pub kind: ProblemKind,
    /// What is wrong in this case, for a person.
    pub detail: Cow<'static, str>,
    /// Seconds after which a repetition can help; sent as `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// Further members, such as `position`.
    pub members: Map<String, Value>,
}

impl Problem {
    /// A refusal of that kind.
    pub fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), retry_after_s: None, members: Map::new() }
    }

    /// Says when to come again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a member beside the standard ones.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The answer, with the request id where it is known.
    pub fn to_response(&self, request_id: Option<&str>) -> axum::http::Response<Full<Bytes>> {
        let mut answer = Response::new(Full::from(self.to_json(request_id)));
        *answer.status_mut() = self.kind.status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_s {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    fn to_json(&self, request_id: Option<&str>) -> String {
        let mut object = self.members.clone();
        object.insert("type".to_owned(), format!("{TYPE_PREFIX}{}", self.kind.slug).into());
        object.insert("title".to_owned(), self.kind.title.into());
        object.insert("status".to_owned(), self.kind.status.as_u16().into());
        object.insert("detail".to_owned(), self.detail.as_ref().into());
        if let Some(id) = request_id {
            object.insert("request_id".to_owned(), id.into());
        }
        Value::Object(object).to_string()
    }
}

/// A problem on its way out: the edge of the server takes it from the answer's extensions and adds the request id.
#[derive(Clone)]
pub(crate) struct Pending(pub(crate) Box<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = self.to_response(None).map(Body::new);
        answer.extensions_mut().insert(Pending(Box::new(self)));
        answer
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(ProblemKind::of_reason(invalid.reason), invalid.detail)
    }
}

impl ProblemKind {
    /// The kind of a refused launch: the same slug, 400 for what cannot be read, 413 for what is too long, 409 for a
    /// conflict, 422 for the rest.
    pub fn of_reason(reason: Reason) -> Self {
        let (status, title) = match reason {
            Reason::Malformed => return kinds::MALFORMED,
            Reason::TooDeep => (StatusCode::BAD_REQUEST, "The JSON is nested too deep"),
            Reason::InvalidDate => (StatusCode::BAD_REQUEST, "This is no date"),
            Reason::LineTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "The line is too long"),
            Reason::Conflict => (StatusCode::CONFLICT, "The id is known with other content"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "This is no valid launch"),
        };
        Self { slug: reason.slug(), status, title }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_type_status_detail_members_and_retry_after() {
        let problem =
            Problem::new(kinds::LOG_UNAVAILABLE, "the log does not answer").retry_after(3).with("position", "1.0.7");
        let answer = problem.to_response(Some("r-1"));
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "3");
        assert_eq!(answer.headers()["content-type"], PROBLEM_JSON);
        let body: Value = serde_json::from_str(&problem.to_json(Some("r-1"))).unwrap();
        assert_eq!(body["type"], "urn:saldo:problem:log_unavailable");
        assert_eq!(body["status"], 503);
        assert_eq!(body["detail"], "the log does not answer");
        assert_eq!(body["position"], "1.0.7");
        assert_eq!(body["request_id"], "r-1");
    }

    #[test]
    fn reasons_keep_their_slug_and_get_their_status() {
        let status = |reason| ProblemKind::of_reason(reason).status.as_u16();
        assert_eq!(status(Reason::Malformed), 400);
        assert_eq!(status(Reason::InvalidDate), 400);
        assert_eq!(status(Reason::LineTooLong), 413);
        assert_eq!(status(Reason::Conflict), 409);
        assert_eq!(status(Reason::InvalidAmount), 422);
        assert_eq!(ProblemKind::of_reason(Reason::MissingDate).slug, "missing_date");
    }
}
