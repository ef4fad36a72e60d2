//! How this process reaches NATS and the log.

use anyhow::{bail, ensure};
use nats::ClientConfig;
use service::Variables;

pub use nats::STREAM_EPOCH;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// The servers where none are named.
const DEFAULT_SERVERS: &str = "127.0.0.1:4222";

/// A connection without credentials to one of `servers`, `host:port` with commas between.
pub fn config(servers: &str, name: &str) -> ClientConfig {
    let urls: Vec<String> = servers.split(',').map(|server| format!("nats://{server}")).collect();
    ClientConfig {
        url: urls.join(","),
        name: name.to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: CONNECT_TIMEOUT_MS,
    }
}

/// The connection to a NATS that is running: servers as [`servers`] finds them, and the user that the environment names;
/// `name` is what operators see.
///
/// # Errors
/// A sentence that names the option or the variable.
pub fn of_variables(given: Option<&str>, variables: &Variables, name: &str) -> anyhow::Result<ClientConfig> {
    let text = |name| variables.text(name).map(str::to_owned);
    let (user, password) = (text("SALDO_NATS_USER"), text("SALDO_NATS_PASSWORD"));
    ensure!(
        user.is_some() == password.is_some(),
        "SALDO_NATS_USER and SALDO_NATS_PASSWORD belong together: set both user and password, or neither"
    );
    Ok(ClientConfig { user, password, ..config(&servers(given, variables)?, name) })
}

/// The servers of a NATS that is running: as given, else as `SALDO_NATS` says, else the one on this machine.
///
/// # Errors
/// What is given names no servers.
fn servers(given: Option<&str>, variables: &Variables) -> anyhow::Result<String> {
    let (name, text) = match given {
        Some(text) => ("--nats", text),
        None => ("SALDO_NATS", variables.text("SALDO_NATS").unwrap_or(DEFAULT_SERVERS)),
    };
    let servers: Vec<&str> = text.split(',').map(|server| server.trim().trim_start_matches("nats://")).collect();
    if servers.iter().all(|server| is_server(server)) {
        return Ok(servers.join(","));
    }
    bail!("{name} is {text:?}: expected servers such as nats-1:4222,nats-2:4222")
}

/// `host:port`: the host is found out when the connection is made.
fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_may_be_several_and_have_names() {
        let variables = Variables::of_pairs([("SALDO_NATS", "nats-1:4222, nats://nats-2:4223")]);
        let found = servers(None, &variables).unwrap();
        assert_eq!(config(&found, "test").url, "nats://nats-1:4222,nats://nats-2:4223");
        assert_eq!(servers(Some("[::1]:1"), &variables).unwrap(), "[::1]:1");
        assert_eq!(servers(None, &Variables::default()).unwrap(), "127.0.0.1:4222");
    }

    #[test]
    fn a_user_has_a_password() {
        let both = [("SALDO_NATS_USER", "query"), ("SALDO_NATS_PASSWORD", "secret")];
        let found = of_variables(Some("nats-1:4222"), &Variables::of_pairs(both), "test").unwrap();
        assert_eq!((found.user.as_deref(), found.password.as_deref()), (Some("query"), Some("secret")));
        assert_eq!(of_variables(None, &Variables::default(), "test").unwrap().user, None);
        for half in both {
            let refused = of_variables(None, &Variables::of_pairs([half]), "test").unwrap_err().to_string();
            assert!(refused.contains("both user and password"), "{refused}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in ["nats-1", "nats-1:0", ":4222", "nats-1:4222,", "me:secret@nats-1:4222", "http://nats-1:4222"] {
            let refused = servers(Some(text), &Variables::default()).unwrap_err().to_string();
            assert!(refused.starts_with("--nats is "), "{refused}");
        }
    }
}
