//! The reference of cached reads: axum with one answer's bytes, served as they are, on the same route.
//!
//! It has all that HTTP needs and nothing that Saldo adds: no tenant, no lookup, no lane, no position, no metrics.

use std::{fs, path::Path};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response},
    routing::get,
    serve::ListenerExt,
};
use bytes::Bytes;

/// Headers that the server writes by itself.
const OWN: &[&str] = &["date", "content-length"];

/// What it prints before its address.
pub const LISTENS: &str = "static server on ";

/// Serves the answer in the file until it is killed.
pub fn run(file: &Path) -> anyhow::Result<()> {
    let (headers, body) = read(&fs::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{LISTENS}{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _gone_already = stream.set_nodelay(true);
        });
        let answer = move || {
            let mut answer = Response::new(Body::from(body.clone()));
            *answer.headers_mut() = headers.clone();
            std::future::ready(answer)
        };
        let router: Router = Router::new().route("/v1/accounts/{account}/days/{date}", get(answer));
        axum::serve(listener, router).await.context("cannot serve")
    })
}

/// Headers and body of an answer as it came over the wire.
fn read(answer: &[u8]) -> anyhow::Result<(HeaderMap, Bytes)> {
    let mut space = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut space);
    let httparse::Status::Complete(head) = parsed.parse(answer)? else { anyhow::bail!("the answer is cut") };
    let mut headers = HeaderMap::new();
    for header in parsed.headers.iter().filter(|header| !OWN.contains(&header.name.to_ascii_lowercase().as_str())) {
        headers.append(HeaderName::from_bytes(header.name.as_bytes())?, HeaderValue::from_bytes(header.value)?);
    }
    Ok((headers, Bytes::copy_from_slice(&answer[head..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = b"HTTP/1.1 200 OK\r\netag: W/\"1\"\r\ncontent-length: 2\r\ndate: today\r\n\r\n{}";
        let (headers, body) = read(answer).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["etag"], "W/\"1\"");
        assert_eq!(body, "{}");
        assert!(read(b"HTTP/1.1 200").is_err());
    }
}
