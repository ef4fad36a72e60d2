//! The containers' network: a bridge, and a namespace with an address for each service.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::stage::run;

/// Nobody else's: the network is seen inside only.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 83, 0, 1);
const BRIDGE: &str = "saldo";

/// Names with their addresses.
#[derive(Debug)]
pub struct Network {
    hosts: PathBuf,
    addresses: BTreeMap<String, Ipv4Addr>,
}

impl Network {
    /// A network of these services; the hosts file is written into the folder. The first has the test's own address: what
    /// runs under it runs beside the test.
    pub fn build(beside: &str, others: &[&str], folder: &Path) -> anyhow::Result<Self> {
        ip("link set lo up")?;
        ip(&format!("link add name {BRIDGE} type bridge"))?;
        ip(&format!("addr add {FIRST}/24 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        let mut addresses = BTreeMap::from([(beside.to_owned(), FIRST)]);
        for (number, name) in (2..).zip(others) {
            let address = Ipv4Addr::from(u32::from(FIRST) - 1 + number);
            connect(name, &format!("veth{number}"), address).with_context(|| format!("the network of {name}"))?;
            addresses.insert((*name).to_owned(), address);
        }
        let hosts = folder.join("hosts");
        fs::write(&hosts, hosts_file(&addresses)?)?;
        Ok(Self { hosts, addresses })
    }

    pub fn address(&self, name: &str) -> anyhow::Result<Ipv4Addr> {
        self.addresses.get(name).copied().with_context(|| format!("no service {name}"))
    }

    /// The file with all names, for every service.
    pub fn hosts(&self) -> &Path {
        &self.hosts
    }

    /// The namespace of a service, as the system names it.
    pub fn namespace(name: &str) -> PathBuf {
        Path::new("/run/netns").join(name)
    }
}

fn connect(name: &str, outer: &str, address: Ipv4Addr) -> anyhow::Result<()> {
    ip(&format!("netns add {name}"))?;
    ip(&format!("link add {outer} type veth peer name eth0 netns {name}"))?;
    ip(&format!("link set {outer} master {BRIDGE} up"))?;
    ip(&format!("-n {name} link set lo up"))?;
    ip(&format!("-n {name} addr add {address}/24 dev eth0"))?;
    ip(&format!("-n {name} link set eth0 up"))
}

fn hosts_file(addresses: &BTreeMap<String, Ipv4Addr>) -> anyhow::Result<String> {
    let mut text = String::from("127.0.0.1 localhost\n");
    for (name, address) in addresses {
        writeln!(text, "{address} {name}")?;
    }
    Ok(text)
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(arguments.split(' '))).map(drop)
}
