//! Where callers reach Saldo, whatever runs behind.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{http::Connection, launches::TENANT};

/// Where launches are posted, and where days are read.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// Where launches are posted.
    pub ingest: SocketAddr,
    /// Where days are read.
    pub query: SocketAddr,
}

impl Edges {
    /// Waits until everything up to `position` is in readable days.
    ///
    /// # Errors
    /// It is not in time, or the answer is none that may come meanwhile.
    pub async fn wait_for(&self, position: &[u8], within: Duration) -> anyhow::Result<()> {
        let mut request =
            format!("GET /v1/accounts?limit=1 HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\n").into_bytes();
        request.extend_from_slice(b"Saldo-Wait-Ms: 10000\r\nSaldo-Min-Position: ");
        request.extend_from_slice(position);
        request.extend_from_slice(b"\r\n\r\n");
        let mut connection = Connection::open(self.query).await?;
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            let answer = connection.exchange(&request).await?;
            match answer.status {
                200 => return Ok(()),
                503 => {}
                status => bail!("status {status}: {}", String::from_utf8_lossy(answer.body)),
            }
        }
        bail!("{} was not applied in time", String::from_utf8_lossy(position))
    }
}
