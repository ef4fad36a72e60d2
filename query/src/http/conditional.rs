//! `If-None-Match`.

use axum::http::{HeaderMap, HeaderValue, header::IF_NONE_MATCH};

/// Whether the caller already has the answer that `etag` names: one of its tags is equal by weak comparison, or it asks
/// with `*`. A tag that is no tag matches nothing.
pub(crate) fn has_it(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let ours = opaque(etag.as_bytes());
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let value = value.as_bytes();
        value.trim_ascii() == b"*" || tags(value).any(|tag| tag == ours)
    })
}

/// The tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The quoted tags of a list. A comma inside of quotes is part of the tag.
fn tags(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let start = list.iter().position(|byte| *byte == b'"')?;
        let length = list[start + 1..].iter().position(|byte| *byte == b'"')?;
        let (tag, rest) = list[start..].split_at(length + 2);
        list = rest;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_NONE_MATCH, HeaderValue::from_static(value));
        }
        has_it(&headers, &HeaderValue::from_static("W/\"1-7\""))
    }

    #[test]
    fn tags_are_compared_weakly_in_lists_and_several_headers() {
        for good in ["W/\"1-7\"", "\"1-7\"", "*", " * ", "\"a\", W/\"1-7\"", "\"a\",\"1-7\",\"b\"", "\"a,b\",\"1-7\""] {
            assert!(matches(&[good]), "{good}");
        }
        assert!(matches(&["\"a\"", "\"1-7\""]));
    }

    #[test]
    fn what_is_no_tag_matches_nothing() {
        for bad in ["", "1-7", "\"1-7", "\"1-70\"", "W/", "\"*\"", "\"a,\"1-7\"\"", "\""] {
            assert!(!matches(&[bad]), "{bad}");
        }
        assert!(!matches(&[]));
    }
}
