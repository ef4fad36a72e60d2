//! One nats-server, or a cluster of three.

use testkit::{NatsServer, lasting_ports};

/// Servers that run. End with the value.
pub struct NatsServers(Vec<NatsServer>);

impl NatsServers {
    /// A server alone.
    pub fn one() -> anyhow::Result<Self> {
        Ok(Self(vec![NatsServer::start()?]))
    }

    /// A cluster.
    pub fn three() -> anyhow::Result<Self> {
        let routes: [u16; 3] = lasting_ports()?;
        let start = |name: usize| {
            let cluster = cluster(name, routes);
            NatsServer::options().extra_config(&cluster).start()
        };
        Ok(Self((0..routes.len()).map(start).collect::<anyhow::Result<_>>()?))
    }

    /// `host:port` of each, with commas between.
    pub fn addresses(&self) -> String {
        let each: Vec<String> = self.0.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        each.join(",")
    }
}

/// What a member's configuration says of the others.
fn cluster(name: usize, routes: [u16; 3]) -> String {
    let (own, all) = (routes[name], routes.map(|port| format!("\"nats://127.0.0.1:{port}\"")).join(", "));
    format!("server_name: bench-{name}\ncluster {{\n name: bench\n listen: \"127.0.0.1:{own}\"\n routes: [{all}]\n}}")
}
