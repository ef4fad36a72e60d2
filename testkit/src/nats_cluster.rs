//! Several NATS servers that are one cluster, each a process of its own.

use anyhow::Context;

use crate::{nats_server::NatsServer, ports::lasting_ports};

/// Servers of a cluster: the fewest that go on when one is lost.
const NODES: usize = 3;

/// A running cluster, or one server by itself. Killed with the value and with the test process.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<(String, NatsServer)>,
}

impl NatsCluster {
    /// Starts three servers, `nats-1` to `nats-3`, on ports that they keep, and waits until each greets. They agree on a leader
    /// somewhat later: who makes streams may be told to come again.
    ///
    /// # Errors
    /// As [`crate::NatsServerOptions::start`].
    pub fn start() -> anyhow::Result<Self> {
        let ports: [u16; 2 * NODES] = lasting_ports()?;
        let (client_ports, route_ports) = ports.split_at(NODES);
        let routes: Vec<String> = route_ports.iter().map(|port| format!("\"nats-route://127.0.0.1:{port}\"")).collect();
        let mut nodes = Vec::with_capacity(NODES);
        for ((number, port), route_port) in (1..).zip(client_ports).zip(route_ports) {
            let name = format!("nats-{number}");
            let config = format!(
                "server_name: {name}\ncluster {{\n name: saldo-test\n listen: \"127.0.0.1:{route_port}\"\n routes: [{}]\n}}",
                routes.join(", ")
            );
            nodes.push((name, NatsServer::options().port(*port).extra_config(&config).start()?));
        }
        Ok(Self { nodes })
    }

    /// Starts one server that is no cluster.
    ///
    /// # Errors
    /// As [`crate::NatsServerOptions::start`].
    pub fn start_one() -> anyhow::Result<Self> {
        Ok(Self { nodes: vec![("nats-1".to_owned(), NatsServer::start()?)] })
    }

    /// How many servers it has, running or not.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// The servers' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|(name, _)| name.as_str())
    }

    /// All client addresses: `nats://127.0.0.1:<port>`, with commas between.
    pub fn urls(&self) -> String {
        self.nodes.iter().map(|(_, node)| node.url()).collect::<Vec<_>>().join(",")
    }

    /// One of the servers, to be killed, paused and started again.
    ///
    /// # Errors
    /// When none has this name.
    pub fn node(&mut self, name: &str) -> anyhow::Result<&mut NatsServer> {
        let node = self.nodes.iter_mut().find(|(own, _)| own == name).map(|(_, node)| node);
        node.with_context(|| format!("no NATS server is called {name}"))
    }

    /// The last lines of all logs.
    pub fn outputs(&self) -> String {
        self.nodes.iter().map(|(name, node)| format!("{name}:\n{}\n", node.output())).collect()
    }
}
