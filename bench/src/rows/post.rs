//! Posting bulks.

use std::{
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use crate::{
    edges::Edges,
    http::{Connection, position_in},
    launches::{Launches, TENANT},
    load::in_own_thread,
};

/// How long it may take until the last launch of a bulk can be read.
const PATIENCE: Duration = Duration::from_secs(150);

/// Connections that post at once.
pub const CONNECTIONS: u64 = 4;

/// When a bulk had been taken, and when it could be read.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Until the last answer.
    pub accepted: Duration,
    /// Until the last launch was in a readable day.
    pub readable: Duration,
    /// Bytes of the launches.
    pub bytes: u64,
    /// Messages that the log has by then.
    pub messages: u64,
}

/// Requests with so many launches together, written beforehand.
pub fn requests(launches: Launches, count: u64) -> Vec<Vec<u8>> {
    (0..CONNECTIONS).map(|part| request(launches, part, count)).collect()
}

fn request(launches: Launches, part: u64, count: u64) -> Vec<u8> {
    let body = launches.lines((0..count).filter(|number| number % CONNECTIONS == part));
    let mut request = Vec::with_capacity(body.len() + 256);
    // Writing to memory does not fail.
    let _written = write!(
        request,
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    request.extend_from_slice(&body);
    request
}

/// Posts launches as NDJSON and waits until all of them can be read.
pub fn bulk(edges: &Edges, launches: Launches, count: u64) -> anyhow::Result<Posted> {
    let requests = requests(launches, count);
    in_own_thread(async {
        let start = Instant::now();
        let accepted = send(edges.ingest, requests, count).await?;
        accepted.wait_until_readable(edges).await?;
        let Accepted { taken, bytes, messages, .. } = accepted;
        Ok(Posted { accepted: taken, readable: start.elapsed(), bytes, messages })
    })
}

/// Posts launches as NDJSON and does not wait for readers.
pub fn accept(ingest: SocketAddr, launches: Launches, count: u64) -> anyhow::Result<Accepted> {
    let requests = requests(launches, count);
    in_own_thread(send(ingest, requests, count))
}

/// A bulk that was taken.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Until the last answer.
    pub taken: Duration,
    /// Bytes of the launches.
    pub bytes: u64,
    /// Messages that the log has by then.
    pub messages: u64,
    positions: Vec<Vec<u8>>,
}

impl Accepted {
    /// Waits until all of it can be read.
    pub async fn wait_until_readable(&self, edges: &Edges) -> anyhow::Result<()> {
        for position in &self.positions {
            edges.wait_for(position, PATIENCE).await?;
        }
        Ok(())
    }
}

async fn send(ingest: SocketAddr, requests: Vec<Vec<u8>>, count: u64) -> anyhow::Result<Accepted> {
    let start = Instant::now();
    let mut connections = JoinSet::new();
    let bytes = u64::try_from(requests.iter().map(Vec::len).sum::<usize>())?;
    for request in requests {
        connections.spawn(post(Connection::open(ingest).await?, request));
    }
    let (mut positions, mut accepted) = (Vec::new(), 0);
    while let Some(ended) = connections.join_next().await {
        let (position, count) = ended??;
        positions.push(position);
        accepted += count;
    }
    let taken = start.elapsed();
    ensure!(accepted == count, "{accepted} of {count} launches were accepted");
    let messages = positions.iter().filter_map(|position| last_sequence(position)).max().unwrap_or(0);
    Ok(Accepted { taken, bytes, messages, positions })
}

/// The position after one bulk, and how many launches it had.
async fn post(mut connection: Connection, request: Vec<u8>) -> anyhow::Result<(Vec<u8>, u64)> {
    let answer = connection.exchange(&request).await?;
    let said: serde_json::Value = serde_json::from_slice(answer.body).context("the answer is no JSON")?;
    ensure!(answer.status == 200, "status {}: {said}", answer.status);
    let position = position_in(answer.body).context("the answer has no position")?.to_vec();
    Ok((position, said["accepted"].as_u64().unwrap_or(0)))
}

/// The highest sequence of a position (`<epoch>.<incarnation>.<lane>.<sequence>-<lane>.<sequence>…`): sequences count the whole log.
fn last_sequence(position: &[u8]) -> Option<u64> {
    let lanes = std::str::from_utf8(position).ok()?.split('-');
    lanes.filter_map(|lane| lane.rsplit('.').next()?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sequence_of_a_position_is_found() {
        assert_eq!(last_sequence(b"1.0a1b2c3d.0.7-1.12-3.9"), Some(12));
        assert_eq!(last_sequence(b"1.0a1b2c3d.2.5"), Some(5));
        assert_eq!(last_sequence(b""), None);
    }

    #[test]
    fn a_request_announces_its_length() {
        let text = String::from_utf8(request(Launches::new(1, 1), 0, 8)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(body.lines().count(), 2);
    }
}
