//! The CQL store as the environment describes it.

use std::str::FromStr;

use anyhow::Context;
use service::Variables;
use store::{Replication, ScyllaConfig, ScyllaConsistency};

/// Reads and checks the variables; `who` needs the store.
///
/// # Errors
/// A sentence that names the variable.
pub fn config(variables: &Variables, who: &str) -> anyhow::Result<ScyllaConfig> {
    let nodes = variables.text("SALDO_SCYLLA_NODES").with_context(|| {
        format!(
            "{who} needs a store that several processes share: set SALDO_SCYLLA_NODES to some nodes of a ScyllaDB or \
             Cassandra cluster, or use `saldo up`, which has a store of its own"
        )
    })?;
    let nodes = nodes.split(',').map(|node| node.trim().to_owned()).filter(|node| !node.is_empty()).collect();
    let default = ScyllaConfig::new(nodes);
    let text = |name: &str| variables.text(name).map(str::to_owned);
    let number = |name, default, bounds| variables.number(name, default, bounds);
    let config = ScyllaConfig {
        keyspace: text("SALDO_SCYLLA_KEYSPACE").unwrap_or(default.keyspace),
        datacenter: text("SALDO_SCYLLA_DATACENTER"),
        consistency: variables.parsed("SALDO_SCYLLA_CONSISTENCY", Consistency::default())?.0,
        user: text("SALDO_SCYLLA_USER"),
        password: text("SALDO_SCYLLA_PASSWORD"),
        tls_ca: variables.path("SALDO_SCYLLA_TLS_CA"),
        writes_in_flight: number("SALDO_SCYLLA_WRITES_IN_FLIGHT", default.writes_in_flight, 1..=4_096)?,
        reads_in_flight: number("SALDO_SCYLLA_READS_IN_FLIGHT", default.reads_in_flight, 1..=4_096)?,
        request_timeout_ms: variables.number(
            "SALDO_SCYLLA_REQUEST_TIMEOUT_MS",
            default.request_timeout_ms,
            100..=120_000,
        )?,
        commit_log_period_ms: variables.number(
            "SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS",
            default.commit_log_period_ms,
            2_000..=120_000,
        )?,
        nodes: default.nodes,
    };
    config.check()?;
    Ok(config)
}

/// Where `saldo schema apply` puts copies: `SALDO_SCYLLA_REPLICATION`, such as `dc1:3,dc2:3`.
///
/// # Errors
/// A sentence that names the variable.
pub fn replication(variables: &Variables) -> anyhow::Result<Replication> {
    let name = "SALDO_SCYLLA_REPLICATION";
    let text = variables.text(name).with_context(|| {
        format!("{name} is not set: name each data centre with its number of copies, such as datacenter1:3")
    })?;
    let one = |part: &str| {
        let (datacenter, copies) = part.trim().rsplit_once(':')?;
        let copies = copies.parse().ok().filter(|copies| (1..=MOST_COPIES).contains(copies))?;
        (!datacenter.is_empty()).then(|| (datacenter.to_owned(), copies))
    };
    let parsed: Option<Replication> = text.split(',').map(one).collect();
    let expected = "expected data centres with their numbers of copies, such as dc1:3,dc2:3";
    Ok(parsed.ok_or_else(|| variables.error(name, expected))?)
}

const MOST_COPIES: u16 = 100;

/// As people write it.
#[derive(Clone, Copy, Default)]
struct Consistency(ScyllaConsistency);

impl FromStr for Consistency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local_quorum" => Ok(Self(ScyllaConsistency::LocalQuorum)),
            "local_one" => Ok(Self(ScyllaConsistency::LocalOne)),
            _ => Err("expected local_quorum or local_one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pairs: &[(&str, &str)]) -> String {
        let variables = Variables::of_pairs(pairs.iter().copied());
        let outcome = config(&variables, "saldo query").and_then(|_| replication(&variables));
        format!("{:#}", outcome.unwrap_err())
    }

    #[test]
    fn variables_are_read() {
        let pairs = [
            ("SALDO_SCYLLA_NODES", "one:9042, two:9043"),
            ("SALDO_SCYLLA_CONSISTENCY", "local_one"),
            ("SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS", "5000"),
            ("SALDO_SCYLLA_REPLICATION", "dc1:3, dc2:1"),
        ];
        let variables = Variables::of_pairs(pairs);
        let config = config(&variables, "saldo query").unwrap();
        assert_eq!(config.nodes, ["one:9042", "two:9043"]);
        assert_eq!((config.keyspace.as_str(), config.consistency), ("saldo", ScyllaConsistency::LocalOne));
        assert_eq!(config.commit_log_period_ms, 5_000);
        let copies = replication(&variables).unwrap();
        assert_eq!(copies, Replication::from([("dc1".to_owned(), 3), ("dc2".to_owned(), 1)]));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let nodes = ("SALDO_SCYLLA_NODES", "one:9042");
        assert!(refused(&[]).contains("set SALDO_SCYLLA_NODES"));
        assert!(refused(&[nodes, ("SALDO_SCYLLA_CONSISTENCY", "all")]).contains("SALDO_SCYLLA_CONSISTENCY"));
        assert!(refused(&[nodes, ("SALDO_SCYLLA_KEYSPACE", "Saldo")]).contains("keyspace"));
        assert!(refused(&[nodes, ("SALDO_SCYLLA_USER", "me")]).contains("both user and password"));
        assert!(refused(&[nodes]).contains("SALDO_SCYLLA_REPLICATION is not set"));
        for text in ["dc1", "dc1:0", ":3", "dc1:3,,"] {
            assert!(refused(&[nodes, ("SALDO_SCYLLA_REPLICATION", text)]).contains("expected data centres"), "{text}");
        }
    }
}
