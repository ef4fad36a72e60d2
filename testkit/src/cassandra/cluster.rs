//! Several Cassandra servers that are one cluster, each a process of its own at an address of its own.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use anyhow::{Context, anyhow};

use super::{Cassandra, CassandraOptions, READY_WITHIN, Ring};
use crate::ports::lasting_ports_on;

/// The nodes: the fewest of which a majority is left when one is away. All take CQL at one port, for that is how drivers find
/// those that the first one names.
const ADDRESSES: [Ipv4Addr; 3] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
/// Where their parts of the ring end: each has a third.
const TOKENS: [i64; 3] = [i64::MIN / 3 * 2, 0, i64::MAX / 3 * 2];
/// A node that has been found, and is not up yet, is forgotten after as long.
const RING_DELAY_MS: u32 = 10_000;

/// A running cluster, or one node by itself. Killed with the value and with the test process.
#[derive(Debug)]
pub struct CassandraCluster {
    nodes: Vec<Cassandra>,
}

/// The cluster that the tests of one process share, while any of them holds it.
static SHARED: Mutex<Weak<CassandraCluster>> = Mutex::new(Weak::new());

impl CassandraCluster {
    /// The cluster that the tests of this process share: one that nobody kills, careless about its own tables. Each test
    /// makes a keyspace of its own.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(Cassandra::options().careless().start_cluster()?);
        *shared = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// How many nodes it has, running or not.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Where its nodes take CQL, with commas between.
    pub fn addresses(&self) -> String {
        self.nodes.iter().map(Cassandra::address).collect::<Vec<_>>().join(",")
    }

    /// One of the nodes, from 0 on, to be killed and paused.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn node(&mut self, number: usize) -> anyhow::Result<&mut Cassandra> {
        let size = self.size();
        self.nodes.get_mut(number).with_context(|| format!("a cluster of {size} nodes has no node {number}"))
    }

    /// Starts a node again over its data and waits until it answers, and has found the others that run.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn restart(&mut self, number: usize) -> anyhow::Result<()> {
        self.node(number)?.restart()?;
        self.wait_until_found(number)
    }

    /// The last lines of all logs.
    pub fn outputs(&self) -> String {
        self.nodes.iter().map(|node| format!("{}:\n{}\n", node.address(), node.output())).collect()
    }

    /// Waits until a node knows that the others that run do.
    fn wait_until_found(&mut self, number: usize) -> anyhow::Result<()> {
        let is_other = |(index, node): &(usize, &Cassandra)| *index != number && node.process.is_some();
        let others = self.nodes.iter().enumerate().filter(is_other);
        let others: Vec<String> = others.map(|(_, node)| node.line_when_found()).collect();
        let process = self.node(number)?.running()?;
        others.iter().try_for_each(|line| process.wait_for_line(line, READY_WITHIN).map(drop))
    }
}

impl CassandraOptions {
    /// Starts three nodes at once, each of which may keep a copy of every row, and waits until they have found each other.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn start_cluster(self) -> anyhow::Result<CassandraCluster> {
        let [port, storage_port] = lasting_ports_on(&ADDRESSES)?;
        let node = |(ip, token)| {
            let ring = Ring { ip, members: ADDRESSES.to_vec(), storage_port, token, delay_ms: RING_DELAY_MS };
            self.clone().node(SocketAddrV4::new(ip, port), ring)
        };
        let nodes = ADDRESSES.into_iter().zip(TOKENS).map(node).collect::<anyhow::Result<Vec<_>>>()?;
        let mut cluster = CassandraCluster { nodes };
        thread::scope(|scope| {
            let starting: Vec<_> = cluster.nodes.iter_mut().map(|node| scope.spawn(|| node.bring_up())).collect();
            let started = starting.into_iter().map(|start| start.join().map_err(|_| anyhow!("a start panicked"))?);
            started.collect::<anyhow::Result<()>>()
        })?;
        (0..cluster.size()).try_for_each(|number| cluster.wait_until_found(number))?;
        Ok(cluster)
    }

    /// Starts one node that is no cluster.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn start_one(self) -> anyhow::Result<CassandraCluster> {
        Ok(CassandraCluster { nodes: vec![self.start()?] })
    }
}

impl Cassandra {
    /// What another node writes when it has found this one.
    fn line_when_found(&self) -> String {
        format!("/{}:{} is now UP", self.ring.ip, self.ring.storage_port)
    }
}
