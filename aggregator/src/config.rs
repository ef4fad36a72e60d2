//! What an aggregator runs with.

use protocol::leases::LeaseTimes;
use service::{ConfigError, HttpLimits, Variables};

use crate::{FailPoints, Workers};

const MEBIBYTE: usize = 1024 * 1024;

/// Bounds and delays of an aggregator. Checked at start, passed down.
#[derive(Clone, Debug)]
pub struct AggregatorConfig {
    /// The lanes to work on; all of them where nothing else decides.
    pub workers: Workers,
    /// `SALDO_READ_AHEAD_BYTES`: bytes of parsed messages that wait to be folded, of all lanes together, shared evenly; a
    /// launch counts with about 450. As much again may be on its way into the store. Default 192 MiB: with four lanes a
    /// commit then takes about a hundred thousand launches, so that those of an account share their rows, which is what limits
    /// a replay (with 8 MiB a lane it was measured two and a half times slower).
    pub read_ahead_bytes: usize,
    /// `SALDO_AGGREGATOR_MEMORY_BYTES`: bytes for windows and rows of all lanes together, shared evenly. Default 512 MiB:
    /// about ten million launches in open windows.
    pub memory_bytes: usize,
    /// `SALDO_REFUSED_RETRY_MS`: milliseconds after which a lane whose log or store was refused looks at both again.
    /// Default 30,000: a log that an operator restores heals the lane without a restart, and until then the error is not
    /// repeated more often than somebody can read it.
    pub refused_retry_ms: u64,
    /// How the lanes are shared with other aggregators.
    pub leases: LeaseConfig,
    /// `SALDO_FAIL_POINT`: where the process aborts, `name` or `name:count`, see [`crate::FailPoint`]. Default: nowhere.
    /// For tests that run the binary as a child.
    pub fail_points: FailPoints,
    /// Bounds of the HTTP server.
    pub http: HttpLimits,
}

impl Default for AggregatorConfig {
    fn default() -> Self {
        Self {
            workers: Workers::All,
            read_ahead_bytes: 192 * MEBIBYTE,
            memory_bytes: 512 * MEBIBYTE,
            refused_retry_ms: 30_000,
            leases: LeaseConfig::default(),
            fail_points: FailPoints::none(),
            http: HttpLimits::default(),
        }
    }
}

impl AggregatorConfig {
    /// Reads the variables.
    ///
    /// # Errors
    /// A variable is out of its bounds.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let default = Self::default();
        let bytes = |name, default_bytes| variables.number(name, default_bytes, MEBIBYTE..=1024 * 1024 * MEBIBYTE);
        Ok(Self {
            workers: default.workers,
            read_ahead_bytes: bytes("SALDO_READ_AHEAD_BYTES", default.read_ahead_bytes)?,
            memory_bytes: bytes("SALDO_AGGREGATOR_MEMORY_BYTES", default.memory_bytes)?,
            refused_retry_ms: variables.number("SALDO_REFUSED_RETRY_MS", default.refused_retry_ms, 100..=86_400_000)?,
            leases: LeaseConfig::from_variables(variables)?,
            fail_points: variables.parsed("SALDO_FAIL_POINT", FailPoints::none())?,
            http: HttpLimits::from_variables(variables)?,
        })
    }
}

/// How lanes are shared with other aggregators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// `SALDO_AGGREGATOR_INSTANCE`: the name by which operators know this instance, 1 to 64 of `A-Z a-z 0-9 _ -`; each start
    /// adds a number of its own. Default `aggregator`.
    pub instance: String,
    /// `SALDO_AGGREGATOR_LEASE_TIMEOUT_MS`: an instance that is not heard for so long, in milliseconds, is taken for dead. Default
    /// 2,400: others then work on its lanes within five seconds. Three heartbeats fit into it. The same for all instances.
    pub times: LeaseTimes,
    /// `SALDO_AGGREGATOR_HANDOVER_MS`: how long, in milliseconds, an instance that is asked to stop goes on until others have
    /// taken over. Default 10,000.
    pub handover_ms: u64,
}

/// Heartbeats that fit into the timeout.
const HEARTBEATS_A_TIMEOUT: u64 = 3;

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { instance: "aggregator".to_owned(), times: lease_times(2_400), handover_ms: 10_000 }
    }
}

impl LeaseConfig {
    fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let default = Self::default();
        let timeout_ms =
            variables.number("SALDO_AGGREGATOR_LEASE_TIMEOUT_MS", default.times.timeout_ms, 1_500..=50_000)?;
        Ok(Self {
            instance: instance(variables)?.unwrap_or(default.instance),
            times: lease_times(timeout_ms),
            handover_ms: variables.number("SALDO_AGGREGATOR_HANDOVER_MS", default.handover_ms, 0..=600_000)?,
        })
    }
}

fn lease_times(timeout_ms: u64) -> LeaseTimes {
    LeaseTimes { heartbeat_ms: timeout_ms / HEARTBEATS_A_TIMEOUT, timeout_ms }
}

fn instance(variables: &Variables) -> Result<Option<String>, ConfigError> {
    let name = "SALDO_AGGREGATOR_INSTANCE";
    let Some(text) = variables.text(name) else { return Ok(None) };
    let fits = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits { Ok(Some(text.to_owned())) } else { Err(variables.error(name, "expected 1 to 64 of A-Z a-z 0-9 _ -")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_and_bounded() {
        let read = |name, value| AggregatorConfig::from_variables(&Variables::of_pairs([(name, value)]));
        assert_eq!(read("SALDO_READ_AHEAD_BYTES", "1048576").unwrap().read_ahead_bytes, MEBIBYTE);
        assert_eq!(read("SALDO_READ_AHEAD_BYTES", "").unwrap().read_ahead_bytes, 192 * MEBIBYTE);
        let error = read("SALDO_AGGREGATOR_MEMORY_BYTES", "10").unwrap_err();
        assert_eq!(error.name, "SALDO_AGGREGATOR_MEMORY_BYTES");
        let times = read("SALDO_AGGREGATOR_LEASE_TIMEOUT_MS", "6000").unwrap().leases.times;
        assert_eq!(times, LeaseTimes { heartbeat_ms: 2_000, timeout_ms: 6_000 });
        assert_eq!(read("SALDO_AGGREGATOR_INSTANCE", "rack-7").unwrap().leases.instance, "rack-7");
        let error = read("SALDO_AGGREGATOR_INSTANCE", "rack.7").unwrap_err();
        assert_eq!(error.name, "SALDO_AGGREGATOR_INSTANCE");
        let error = read("SALDO_FAIL_POINT", "nowhere").unwrap_err().to_string();
        assert!(error.contains("before_commit after_commit after_notice"), "{error}");
    }
}
