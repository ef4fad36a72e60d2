//! JSON answers.

use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use serde::Serialize;

use super::short::Answered;
use crate::problem::{Problem, kinds};

/// Most answers are written without growing the text.
const TYPICAL_BYTES: usize = 256;

/// An answer with `value` as JSON.
///
/// # Errors
/// A value that cannot be written is a fault of the service: 500.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answered {
    let mut text = Vec::with_capacity(TYPICAL_BYTES);
    match serde_json::to_writer(&mut text, value) {
        Ok(()) => Ok(of_text(status, text)),
        Err(error) => Err(Problem::new(kinds::INTERNAL, error.to_string())),
    }
}

fn of_text(status: StatusCode, text: Vec<u8>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
