//! Free ports of the loopback interface.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use anyhow::Context;

/// A port that nobody listens on at the moment. Somebody else may take it before it is used: prefer port 0 where the
/// program under test can take it.
///
/// # Errors
/// When the system has no port left.
pub fn free_port() -> anyhow::Result<u16> {
    let [port] = free_ports()?;
    Ok(port)
}

/// Several different free ports at once.
///
/// # Errors
/// As [`free_port`].
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Where [`lasting_ports`] looks: above the well-known ones and below those that systems give out by themselves (Linux
/// from 32,768 on).
const LASTING: std::ops::Range<u16> = 20_000..32_000;

/// Several different free ports that no system gives out by itself, to listeners on port 0 or to outgoing connections:
/// a program that is killed can take them again, whatever other tests do meanwhile.
///
/// # Errors
/// When none is left.
pub fn lasting_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    lasting_ports_on(&[Ipv4Addr::LOCALHOST])
}

/// The same, free on each of these addresses.
///
/// # Errors
/// As [`lasting_ports`].
pub fn lasting_ports_on<const N: usize>(addresses: &[Ipv4Addr]) -> anyhow::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    let random = RandomState::new().build_hasher().finish();
    let span = u64::from(LASTING.end - LASTING.start);
    let start = u16::try_from(random % span)?;
    let candidates =
        (0..LASTING.end - LASTING.start).map(|step| LASTING.start + (start + step) % (LASTING.end - LASTING.start));
    let listen = |port: u16| -> Option<Vec<TcpListener>> {
        addresses.iter().map(|address| TcpListener::bind((*address, port)).ok()).collect()
    };
    let mut free = candidates.filter_map(|port| Some((port, listen(port)?)));
    for slot in &mut ports {
        let (port, listening) = free.next().context("no free port is left")?;
        listeners.push(listening);
        *slot = port;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasting_ports_are_not_given_out_by_the_system() {
        let ports: [u16; 3] = lasting_ports().unwrap();
        assert!(ports.iter().all(|port| LASTING.contains(port)), "{ports:?}");
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2], "{ports:?}");
    }

    #[test]
    fn a_lasting_port_is_free_on_each_address() {
        let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
        let [port] = lasting_ports_on(&addresses).unwrap();
        for address in addresses {
            TcpListener::bind((address, port)).unwrap();
        }
    }

    #[test]
    fn several_ports_are_different() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        assert_ne!(free_port().unwrap(), 0);
    }
}
