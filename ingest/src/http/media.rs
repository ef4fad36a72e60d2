//! The media types that are read.

use axum::http::{HeaderMap, header};
use service::{Problem, problem::kinds};

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`: an object or an array.
    Json,
    /// `application/x-ndjson`.
    Lines,
}

/// The form that the head names.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let Some(value) = value else { return Err(unsupported("the request has no Content-Type")) };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !is_utf8(parameters) {
        return Err(unsupported("the charset of JSON is UTF-8"));
    }
    match essence.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Form::Json),
        "application/x-ndjson" => Ok(Form::Lines),
        "application/x-www-form-urlencoded" => Err(unsupported(
            "this is a form: curl -d sends that type and strips newlines; use --data-binary and name the type with -H",
        )),
        _ => Err(unsupported("this media type is not read here")),
    }
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
    use axum::http::HeaderValue;

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
}
