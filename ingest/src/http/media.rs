//! The media types that are read.

use axum::http::{HeaderMap, HeaderValue, header};
use service::{Problem, problem::kinds};

const JSON: &str = "application/json";

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`: an object or an array.
    Json,
    /// `application/x-ndjson`.
    Lines,
}

/// The form that the head names. A compressed body has none: read as it is, it would be refused as bad JSON, which tells
/// nobody what to do.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(unsupported(
            "the body is compressed, and compressed bodies are not read here: send it without Content-Encoding",
        ));
    }
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let Some(value) = value else { return Err(unsupported("the request has no Content-Type")) };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !is_utf8(parameters) {
        return Err(unsupported("the charset of JSON is UTF-8"));
    }
    let is = |name| essence.trim().eq_ignore_ascii_case(name);
    if is(JSON) {
        return Ok(Form::Json);
    }
    if is("application/x-ndjson") {
        return Ok(Form::Lines);
    }
    Err(unsupported(match is("application/x-www-form-urlencoded") {
        true => {
            "this is a form: curl -d sends that type and strips newlines; use --data-binary and name the type with -H"
        }
        false => "this media type is not read here",
    }))
}

/// Whether the head says that the body is JSON and says nothing else of it: what posts of one launch nearly always do.
pub(super) fn is_plain_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == JSON)
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// `identity` means that nothing was done to the body.
fn is_plain(encoding: &HeaderValue) -> bool {
    let mut encodings = encoding.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    encodings.all(|encoding| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity"))
}

fn is_utf8(parameters: &str) -> bool {
    let mut pairs = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    pairs.all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

fn unsupported(what: &'static str) -> Problem {
    let detail = format!("{what}; send application/json or application/x-ndjson");
    Problem::new(kinds::UNSUPPORTED_MEDIA_TYPE, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_types_are_read() {
        let read = |value| form(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert_eq!(read("application/json"), Ok(Form::Json));
        assert_eq!(read("Application/JSON; charset=\"UTF-8\""), Ok(Form::Json));
        assert_eq!(read("application/x-ndjson;charset=utf-8"), Ok(Form::Lines));
        for other in ["text/plain", "application/json; charset=latin1", "application/jsonx", ""] {
            assert_eq!(read(other).unwrap_err().kind.slug, "unsupported_media_type", "{other}");
        }
        assert!(read("application/x-www-form-urlencoded").unwrap_err().detail.contains("--data-binary"));
        assert!(form(&HeaderMap::new()).is_err());
    }

    #[test]
    fn compressed_bodies_are_refused_with_a_hint() {
        let read = |encoding| {
            let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            form(&HeaderMap::from_iter([json, (header::CONTENT_ENCODING, HeaderValue::from_static(encoding))]))
        };
        assert_eq!(read("identity"), Ok(Form::Json));
        for encoding in ["gzip", "br", "identity, gzip", "zstd"] {
            let refused = read(encoding).unwrap_err();
            assert_eq!(refused.kind.slug, "unsupported_media_type", "{encoding}");
            assert!(refused.detail.contains("without Content-Encoding"), "{}", refused.detail);
        }
    }
}
