//! Variables that Kubernetes puts into every container for each service of its namespace: for one that is named `saldo-query`
//! they begin with our prefix. They are nobody's mistake.
//!
//! | name, behind the service's | value |
//! |---|---|
//! | `_SERVICE_HOST`, `_SERVICE_PORT`, `_SERVICE_PORT_<port's name>` | an address, a number |
//! | `_PORT` | `tcp://10.0.0.1:8080` |
//! | `_PORT_8080_TCP`, and that with `_PROTO`, `_PORT`, `_ADDR` | the same in parts |

use std::ffi::OsStr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether name and value are such a variable's.
pub fn is_one(name: &str, value: &OsStr) -> bool {
    is_address_of_service(name) || is_url(name, value) || is_part_of_port(name)
}

fn is_address_of_service(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_")
}

fn is_url(name: &str, value: &OsStr) -> bool {
    let scheme = value.to_str().and_then(|value| value.split_once("://")).map(|(scheme, _)| scheme);
    let is_protocol = |scheme: &str| PROTOCOLS.iter().any(|protocol| protocol.eq_ignore_ascii_case(scheme));
    name.ends_with("_PORT") && scheme.is_some_and(is_protocol)
}

fn is_part_of_port(name: &str) -> bool {
    let name = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
    let Some((name, protocol)) = name.rsplit_once('_') else { return false };
    let Some((service, port)) = name.rsplit_once('_') else { return false };
    PROTOCOLS.contains(&protocol) && port.parse::<u16>().is_ok() && service.ends_with("_PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_recognised() {
        for (name, value) in [
            ("SALDO_QUERY_SERVICE_HOST", "10.96.0.7"),
            ("SALDO_SERVICE_PORT", "8081"),
            ("SALDO_QUERY_SERVICE_PORT_HTTP", "8081"),
            ("SALDO_QUERY_PORT", "tcp://10.96.0.7:8081"),
            ("SALDO_PORT_8081_TCP", "tcp://10.96.0.7:8081"),
            ("SALDO_QUERY_PORT_8081_TCP_PROTO", "tcp"),
            ("SALDO_QUERY_PORT_8081_UDP_PORT", "8081"),
            ("SALDO_QUERY_PORT_8081_TCP_ADDR", "10.96.0.7"),
        ] {
            assert!(is_one(name, value.as_ref()), "{name}");
        }
    }

    #[test]
    fn what_a_person_misspells_is_not() {
        for (name, value) in [
            ("SALDO_QUERY_PORT", "8081"),
            ("SALDO_PORT", ""),
            ("SALDO_TENANT", "tcp://x"),
            ("SALDO_HTTP_TCP", "1"),
            ("SALDO_QUERY_8081_TCP", "1"),
        ] {
            assert!(!is_one(name, value.as_ref()), "{name}");
        }
    }
}
