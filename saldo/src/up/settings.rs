//! What `saldo up` runs with: the argument, else the variable, else the default.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::bail;
use service::Variables;

use crate::{address, cli::UpArguments, log};

/// Everything that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpSettings {
    /// Folder for all data.
    pub data: PathBuf,
    /// Where ingest listens.
    pub ingest: SocketAddr,
    /// Where query listens.
    pub query: SocketAddr,
    /// Where the aggregator's health and metrics are.
    pub aggregator: SocketAddr,
    /// Where nats-server listens.
    pub nats: SocketAddr,
    /// The nats-server to run; the one on PATH when absent.
    pub nats_server: Option<PathBuf>,
    /// Lanes of the log; what the log has, or the default, when absent.
    pub partitions: Option<u16>,
    /// Bytes that the log may take; from the free space when absent.
    pub log_max_bytes: Option<u64>,
}

impl UpSettings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// A sentence that names the option or the variable.
    pub fn resolve(arguments: &UpArguments, variables: &Variables) -> anyhow::Result<Self> {
        let path = |given: &Option<PathBuf>, name: &str| given.clone().or_else(|| variables.path(name));
        let address = |given: &Option<String>, option: &str, name: &str, default: &str| match given {
            Some(text) => address::parse(option, text),
            None => address::parse(name, variables.text(name).unwrap_or(default)),
        };
        let settings = Self {
            data: path(&arguments.data, "SALDO_DATA").unwrap_or_else(|| PathBuf::from("data")),
            ingest: address(&arguments.ingest, "--ingest", "SALDO_INGEST", "127.0.0.1:8080")?,
            query: address(&arguments.query, "--query", "SALDO_QUERY", "127.0.0.1:8081")?,
            aggregator: address(&arguments.aggregator, "--aggregator", "SALDO_AGGREGATOR", "127.0.0.1:8082")?,
            nats: address(&arguments.nats, "--nats", "SALDO_NATS", "127.0.0.1:4222")?,
            nats_server: path(&arguments.nats_server, "SALDO_NATS_SERVER"),
            partitions: log::partitions(arguments.partitions, variables)?,
            log_max_bytes: log::max_bytes(variables)?,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Without credentials every caller is trusted for every tenant, so nobody from outside may call.
    fn check(&self) -> anyhow::Result<()> {
        let named =
            [("ingest", self.ingest), ("query", self.query), ("aggregator", self.aggregator), ("nats", self.nats)];
        match named.iter().find(|(_, address)| !address.ip().to_canonical().is_loopback()) {
            Some((name, address)) => bail!(
                "refusing to let {name} listen on {address}: callers need no credentials, so the address must be a \
                 loopback one such as 127.0.0.1"
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(arguments: &UpArguments, pairs: &[(&str, &str)]) -> anyhow::Result<UpSettings> {
        UpSettings::resolve(arguments, &Variables::of_pairs(pairs.iter().copied()))
    }

    #[test]
    fn an_argument_wins_over_the_variable_and_that_over_the_default() {
        let arguments = UpArguments { ingest: Some("127.0.0.1:1".to_owned()), ..UpArguments::default() };
        let settings = resolve(&arguments, &[("SALDO_INGEST", "127.0.0.1:2"), ("SALDO_QUERY", "127.0.0.1:3")]).unwrap();
        assert_eq!(settings.ingest.port(), 1);
        assert_eq!(settings.query.port(), 3);
        assert_eq!(settings.aggregator.port(), 8082);
        assert_eq!(settings.partitions, None);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let refused = |pairs: &[(&str, &str)]| format!("{:#}", resolve(&UpArguments::default(), pairs).unwrap_err());
        assert!(refused(&[("SALDO_QUERY", "here")]).starts_with("SALDO_QUERY is \"here\""));
        assert!(refused(&[("SALDO_PARTITIONS", "many")]).contains("SALDO_PARTITIONS"));
        assert!(refused(&[("SALDO_PARTITIONS", "0")]).contains("from 1 to 1024"));
        assert!(refused(&[("SALDO_LOG_MAX_BYTES", "7")]).contains("SALDO_LOG_MAX_BYTES"));
        let zero = UpArguments { partitions: Some(0), ..UpArguments::default() };
        assert!(resolve(&zero, &[]).unwrap_err().to_string().contains("--partitions is 0"));
    }

    #[test]
    fn addresses_that_others_can_reach_are_refused() {
        for name in ["SALDO_INGEST", "SALDO_QUERY", "SALDO_AGGREGATOR", "SALDO_NATS"] {
            let refused = resolve(&UpArguments::default(), &[(name, "0.0.0.0:1")]).unwrap_err().to_string();
            assert!(refused.contains("loopback"), "{refused}");
        }
    }
}
