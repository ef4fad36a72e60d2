//! How this process reaches NATS and the log.

use std::net::SocketAddr;

use nats::ClientConfig;

/// The epoch that names the stream. What counts is the one in the stream's metadata, which an operator may raise.
pub const STREAM_EPOCH: u8 = 1;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// A connection without credentials: to a server that listens for this machine alone.
pub fn config(address: SocketAddr, name: &str) -> ClientConfig {
    ClientConfig {
        url: format!("nats://{address}"),
        name: name.to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: CONNECT_TIMEOUT_MS,
    }
}
