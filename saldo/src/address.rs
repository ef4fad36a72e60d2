//! Addresses as people type them.

use std::net::SocketAddr;

use anyhow::Context;

/// An address such as `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`; `name` is what a sentence about it begins with.
///
/// # Errors
/// It is no address.
pub fn parse(name: &str, text: &str) -> anyhow::Result<SocketAddr> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().with_context(|| format!("{name} is {text:?}: expected an address such as 127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_the_loopback_address() {
        assert_eq!(parse("--ingest", "localhost:80").unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(parse("--ingest", "[::1]:0").unwrap(), "[::1]:0".parse().unwrap());
        let refused = format!("{:#}", parse("--ingest", "8080").unwrap_err());
        assert!(refused.starts_with("--ingest is \"8080\": expected an address"), "{refused}");
    }
}
