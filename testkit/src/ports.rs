//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_ports_are_different() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        assert_ne!(free_port().unwrap(), 0);
    }
}
