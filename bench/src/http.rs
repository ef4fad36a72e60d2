//! HTTP/1.1 as a load generator speaks it: requests written beforehand, one answer at a time on a connection that is kept.
//!
//! A client library would cost as much as the server that is measured, on the cores that both share. Two system calls a
//! request are left: one to send, one to receive.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// More headers than any answer here has.
const MAX_HEADERS: usize = 32;
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Status.
    pub status: u16,
    /// Head and body as they came.
    pub whole: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0 })
    }

    /// Sends a request and waits for its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await.context("cannot send")?;
        self.receive().await
    }

    async fn receive(&mut self) -> anyhow::Result<Answer<'_>> {
        self.filled = 0;
        let lengths = loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[self.filled..]).await.context("cannot receive")?;
            ensure!(read > 0, "the server closed the connection");
            self.filled += read;
            if let Some(lengths) = lengths(&self.buffer[..self.filled])?
                && self.filled >= lengths.head + lengths.body
            {
                break lengths;
            }
        };
        let whole = &self.buffer[..lengths.head + lengths.body];
        ensure!(whole.len() == self.filled, "more came than one answer");
        Ok(Answer { status: lengths.status, whole, body: &whole[lengths.head..] })
    }
}

struct Lengths {
    status: u16,
    head: usize,
    body: usize,
}

/// Lengths of head and body, once the head is whole.
fn lengths(bytes: &[u8]) -> anyhow::Result<Option<Lengths>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes).context("this is no HTTP")? else { return Ok(None) };
    let status = answer.code.context("the answer has no status")?;
    let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse().context("the length is no number")?,
        None if status == 304 => 0,
        None => bail!("the answer has no length"),
    };
    Ok(Some(Lengths { status, head, body }))
}

/// What stands between `"position":"` and the next quote.
pub fn position_in(json: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = b"\"position\":\"";
    let from = memchr::memmem::find(json, BEFORE)? + BEFORE.len();
    let rest = &json[from..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answers_are_read_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            for pieces in [vec!["HTTP/1.1 201 Created\r\nContent-", "Length: 5\r\n\r\nhe", "llo"], vec![SECOND]] {
                stream.read_exact(&mut request).await.unwrap();
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        let first = connection.exchange(b"GET ").await.unwrap();
        assert_eq!((first.status, first.body), (201, b"hello".as_slice()));
        let second = connection.exchange(b"GET ").await.unwrap();
        assert_eq!((second.status, second.body), (304, b"".as_slice()));
        assert_eq!(second.whole, SECOND.as_bytes());
        server.await.unwrap();
    }

    const SECOND: &str = "HTTP/1.1 304 Not Modified\r\netag: W/\"1\"\r\n\r\n";

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(lengths(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(lengths(b"HTTP/1.1 200").unwrap().is_none());
    }

    #[test]
    fn positions_are_found() {
        assert_eq!(
            position_in(b"{\"position\":\"1.0a1b2c3d.0.7-1.2\",\"x\":1}"),
            Some(b"1.0a1b2c3d.0.7-1.2".as_slice())
        );
        assert_eq!(position_in(b"{\"position\":null}"), None);
    }
}
