//! The bounds of the HTTP server.

use super::hosts::AllowedHost;
use crate::config::{ConfigError, Variables};

/// What a client may cost, and which hosts it may ask for. Every wait for a client ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// `SALDO_HTTP_MAX_CONNECTIONS`: connections at once; for one more the one that has been idle for
    /// longest is closed, and where none is idle, it waits in the system's backlog. Default 16,384: an idle one
    /// costs 15 KiB, or 17 where single launches are posted.
    pub max_connections: usize,
    /// `SALDO_HTTP_HEAD_TIMEOUT_MS`: milliseconds from the first byte of a request to the end of its head. Default 10,000.
    pub head_timeout_ms: u64,
    /// `SALDO_HTTP_IDLE_TIMEOUT_MS`: milliseconds that a connection may wait between requests. Default 75,000, longer than
    /// the pools of common clients and proxies keep theirs.
    pub idle_timeout_ms: u64,
    /// `SALDO_HTTP_WRITE_TIMEOUT_MS`: milliseconds in which a client must take at least one byte of its answer. Default
    /// 30,000.
    pub write_timeout_ms: u64,
    /// `SALDO_HTTP_MAX_HEAD_BYTES`: bytes of a request's head, at least 8,192. Default 16,384.
    pub max_head_bytes: usize,
    /// `SALDO_HTTP_DRAIN_MS`: milliseconds after the stop in which requests in flight may end. Default 10,000.
    pub drain_ms: u64,
    /// `SALDO_HTTP_ALLOWED_HOSTS`: hosts that are answered for besides this machine's own. Default none: on a loopback address
    /// only those of this machine are, on another address all.
    pub allowed_hosts: Vec<AllowedHost>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            write_timeout_ms: 30_000,
            max_head_bytes: 16_384,
            drain_ms: 10_000,
            allowed_hosts: Vec::new(),
        }
    }
}

impl HttpLimits {
    /// Reads the variables.
    ///
    /// # Errors
    /// A variable is out of its bounds.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        const HOUR_MS: u64 = 3_600_000;
        let default = Self::default();
        let wait_ms = |name, default_ms| variables.number(name, default_ms, 1..=HOUR_MS);
        Ok(Self {
            max_connections: variables.number("SALDO_HTTP_MAX_CONNECTIONS", default.max_connections, 1..=1_000_000)?,
            head_timeout_ms: wait_ms("SALDO_HTTP_HEAD_TIMEOUT_MS", default.head_timeout_ms)?,
            idle_timeout_ms: wait_ms("SALDO_HTTP_IDLE_TIMEOUT_MS", default.idle_timeout_ms)?,
            write_timeout_ms: wait_ms("SALDO_HTTP_WRITE_TIMEOUT_MS", default.write_timeout_ms)?,
            max_head_bytes: variables.number("SALDO_HTTP_MAX_HEAD_BYTES", default.max_head_bytes, 8_192..=1_048_576)?,
            drain_ms: wait_ms("SALDO_HTTP_DRAIN_MS", default.drain_ms)?,
            allowed_hosts: AllowedHost::of_variables(variables)?,
        })
    }
}
