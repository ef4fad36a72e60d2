//! The ports, taken before anything is started: a taken one is told at once and leaves nothing running.

use std::{io, net::SocketAddr};

use anyhow::bail;
use tokio::net::TcpListener;

use super::{ready::Place, settings::UpSettings};

/// Bound listeners, and the address that nats-server will bind.
#[derive(Debug)]
pub struct Listeners {
    /// For ingest.
    pub ingest: TcpListener,
    /// For query.
    pub query: TcpListener,
    /// For the aggregator's health and metrics.
    pub aggregator: TcpListener,
    /// For nats-server, with its final port.
    pub nats: SocketAddr,
}

impl Listeners {
    /// Takes all of them.
    ///
    /// # Errors
    /// One is taken, or may not be used.
    pub async fn bind(settings: &UpSettings) -> anyhow::Result<Self> {
        let ingest = bind("ingest", "--ingest", settings.ingest).await?;
        let query = bind("query", "--query", settings.query).await?;
        let aggregator = bind("the aggregator", "--aggregator", settings.aggregator).await?;
        // Another program has to bind this one: it is tried, and let go of again. Should somebody take it in between,
        // nats-server says so.
        let nats = bind("nats-server", "--nats", settings.nats).await?.local_addr()?;
        Ok(Self { ingest, query, aggregator, nats })
    }

    /// Where the services will answer, in the order in which they become ready.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn places(&self) -> io::Result<[Place; 3]> {
        let place = |name, listener: &TcpListener| io::Result::Ok(Place { name, address: listener.local_addr()? });
        Ok([place("aggregator", &self.aggregator)?, place("query", &self.query)?, place("ingest", &self.ingest)?])
    }
}

async fn bind(who: &str, option: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "{who} cannot listen on {address}: the port is taken; stop what uses it or choose another with {option}"
            )
        }
        Err(error) => bail!("{who} cannot listen on {address}: {error}"),
    }
}
