//! JSON answers.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::problem::{Problem, kinds};

/// An answer with `value` as JSON. A value that cannot be written is a fault of the service: 500.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => json_bytes(status, text),
        Err(error) => Problem::new(kinds::INTERNAL, error.to_string()).into_response(),
    }
}

/// An answer whose JSON is written already.
pub fn json_bytes(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
