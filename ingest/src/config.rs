//! The bounds of ingest, read and checked at start.

use nats::PublisherConfig;
use service::{ConfigError, HttpLimits, TrustedCallers, Variables};

use crate::{recent::RecentConfig, tenants::TenantsConfig, warm::WarmConfig};

/// Everything that ingest is told.
#[derive(Clone, Debug, Default)]
pub struct IngestConfig {
    /// The HTTP server.
    pub http: HttpLimits,
    /// Who may call without credentials.
    pub trusted: TrustedCallers,
    /// Bodies and bulks.
    pub bodies: BodyConfig,
    /// The lanes of the log.
    pub publisher: PublisherConfig,
    /// The cache of recent launches.
    pub recent: RecentConfig,
    /// How it is filled at start.
    pub warm: WarmConfig,
    /// Zones and cut-offs.
    pub tenants: TenantsConfig,
}

/// What bodies may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyConfig {
    /// `SALDO_INGEST_BODY_BYTES`: bytes of an array. Default 8 MiB. NDJSON has no bound.
    pub max_body_bytes: usize,
    /// `SALDO_INGEST_BODIES_BYTES`: bytes of all objects and arrays that are being read or published and did not come at
    /// once; a quarter is kept for those of at most 64 KiB. Shared fairly between tenants. Default 256 MiB.
    pub max_bodies_bytes: usize,
    /// `SALDO_INGEST_BULKS`: arrays and NDJSON bodies at once, shared fairly between tenants; more are answered 429. Default
    /// 64. Each costs at most `open_bytes` and 16 batches on their way.
    pub max_bulks: usize,
    /// `SALDO_INGEST_BATCH_ENTRIES`: launches of a bulk that travel together, at most 4,096. Default 1,000: from there on
    /// a larger batch gains little, and a smaller one lets two share a message.
    pub batch_entries: usize,
    /// `SALDO_INGEST_BATCH_BYTES`: bytes at which a batch is full, at most 448 KiB (a message has 512 KiB, a line 64 KiB).
    /// Default 256 KiB, so that two fit into a message.
    pub batch_bytes: usize,
    /// `SALDO_INGEST_OPEN_BYTES`: bytes of all unfinished batches of one bulk; the largest leaves when they are more.
    /// Default 4 MiB.
    pub open_bytes: usize,
    /// `SALDO_INGEST_FLUSH_MS`: milliseconds after which unfinished batches leave while the body is read: others may wait
    /// for the ids in them. Default 20.
    pub flush_ms: u64,
    /// `SALDO_INGEST_BODY_PATIENCE_MS`: milliseconds in which a client must send at least 1 KiB; of an array a sixteenth of
    /// what has come, of NDJSON 16 KiB. Default 30,000.
    pub patience_ms: u64,
    /// `SALDO_INGEST_BODY_MS`: milliseconds of waiting for the client in which an object or an array must come as a whole.
    /// Default 300,000.
    pub whole_ms: u64,
    /// `SALDO_INGEST_BULK_MS`: the same for NDJSON. Default 3,600,000.
    pub bulk_ms: u64,
    /// `SALDO_INGEST_STOP_BULK_MS`: milliseconds after the stop in which a bulk may still end by itself; then it is
    /// answered with what it has got. Default 2,000; less than the server's drain.
    pub stop_bulk_ms: u64,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 8 * 1024 * 1024,
            max_bodies_bytes: 256 * 1024 * 1024,
            max_bulks: 64,
            batch_entries: 1_000,
            batch_bytes: 256 * 1024,
            open_bytes: 4 * 1024 * 1024,
            flush_ms: 20,
            patience_ms: 30_000,
            whole_ms: 300_000,
            bulk_ms: 3_600_000,
            stop_bulk_ms: 2_000,
        }
    }
}

impl IngestConfig {
    /// Reads the variables.
    ///
    /// # Errors
    /// A variable is out of its bounds; the error names it.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            http: HttpLimits::from_variables(variables)?,
            trusted: TrustedCallers::from_variables(variables)?,
            bodies: BodyConfig::from_variables(variables)?,
            publisher: publisher(variables)?,
            recent: recent(variables)?,
            warm: WarmConfig::from_variables(variables)?,
            tenants: tenants(variables)?,
        })
    }
}

impl BodyConfig {
    fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        const MIB: usize = 1024 * 1024;
        let default = Self::default();
        let bytes = |name, default, least, most| variables.number(name, default, least..=most);
        let wait_ms = |name, default_ms| variables.number(name, default_ms, 1..=3_600_000);
        Ok(Self {
            max_body_bytes: bytes("SALDO_INGEST_BODY_BYTES", default.max_body_bytes, 64 * 1024, 64 * MIB)?,
            max_bodies_bytes: bytes("SALDO_INGEST_BODIES_BYTES", default.max_bodies_bytes, 64 * MIB, 65_536 * MIB)?,
            max_bulks: variables.number("SALDO_INGEST_BULKS", default.max_bulks, 1..=100_000)?,
            batch_entries: variables.number("SALDO_INGEST_BATCH_ENTRIES", default.batch_entries, 1..=4_096)?,
            batch_bytes: bytes("SALDO_INGEST_BATCH_BYTES", default.batch_bytes, 1_024, 448 * 1024)?,
            open_bytes: bytes("SALDO_INGEST_OPEN_BYTES", default.open_bytes, 64 * 1024, 1_024 * MIB)?,
            flush_ms: wait_ms("SALDO_INGEST_FLUSH_MS", default.flush_ms)?,
            patience_ms: wait_ms("SALDO_INGEST_BODY_PATIENCE_MS", default.patience_ms)?,
            whole_ms: wait_ms("SALDO_INGEST_BODY_MS", default.whole_ms)?,
            bulk_ms: variables.number("SALDO_INGEST_BULK_MS", default.bulk_ms, 1..=86_400_000)?,
            stop_bulk_ms: wait_ms("SALDO_INGEST_STOP_BULK_MS", default.stop_bulk_ms)?,
        })
    }
}

/// `SALDO_INGEST_QUEUE_ENTRIES`, `…_QUEUE_BYTES`, `…_ACK_TIMEOUT_MS`, `…_GIVE_UP_MS`, `…_MESSAGES_IN_FLIGHT`,
/// `…_ALL_MESSAGES_IN_FLIGHT`: see [`PublisherConfig`]; a message's own bounds are part of the wire form and not configurable.
fn publisher(variables: &Variables) -> Result<PublisherConfig, ConfigError> {
    let default = PublisherConfig::default();
    let number = |name, default, least, most| variables.number(name, default, least..=most);
    Ok(PublisherConfig {
        queue_entries: number("SALDO_INGEST_QUEUE_ENTRIES", default.queue_entries, 4_096, 10_000_000)?,
        queue_bytes: number("SALDO_INGEST_QUEUE_BYTES", default.queue_bytes, 512 * 1024, 1 << 32)?,
        ack_timeout_ms: variables.number("SALDO_INGEST_ACK_TIMEOUT_MS", default.ack_timeout_ms, 10..=60_000)?,
        give_up_after_ms: variables.number("SALDO_INGEST_GIVE_UP_MS", default.give_up_after_ms, 100..=100_000)?,
        messages_in_flight: number("SALDO_INGEST_MESSAGES_IN_FLIGHT", default.messages_in_flight, 1, 16)?,
        all_messages_in_flight: number(
            "SALDO_INGEST_ALL_MESSAGES_IN_FLIGHT",
            default.all_messages_in_flight,
            1,
            1_024,
        )?,
        ..default
    })
}

fn recent(variables: &Variables) -> Result<RecentConfig, ConfigError> {
    let default = RecentConfig::default();
    let unknown_entries = default.unknown_entries;
    Ok(RecentConfig {
        entries: variables.number("SALDO_INGEST_RECENT_ENTRIES", default.entries, 1..=1_000_000_000)?,
        unknown_ttl_ms: variables.number("SALDO_INGEST_UNKNOWN_TTL_MS", default.unknown_ttl_ms, 1..=86_400_000)?,
        unknown_entries: variables.number("SALDO_INGEST_UNKNOWN_ENTRIES", unknown_entries, 1..=100_000_000)?,
    })
}

fn tenants(variables: &Variables) -> Result<TenantsConfig, ConfigError> {
    let default = TenantsConfig::default();
    let config = TenantsConfig {
        file: variables.path("SALDO_TENANTS"),
        reload_ms: variables.number("SALDO_TENANTS_RELOAD_MS", default.reload_ms, 10..=3_600_000)?,
        stale_ms: variables.number("SALDO_TENANTS_STALE_MS", default.stale_ms, 10..=86_400_000)?,
    };
    if config.stale_ms <= config.reload_ms {
        return Err(variables.error("SALDO_TENANTS_STALE_MS", "expected more than SALDO_TENANTS_RELOAD_MS"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_what_the_variables_default_to() {
        let config = IngestConfig::from_variables(&Variables::default()).unwrap();
        assert_eq!(config.bodies, BodyConfig::default());
        assert_eq!(config.recent, RecentConfig::default());
        assert_eq!(config.tenants, TenantsConfig::default());
    }

    #[test]
    fn a_bound_that_makes_no_sense_is_refused() {
        for (name, value) in [
            ("SALDO_INGEST_BATCH_ENTRIES", "5000"),
            ("SALDO_INGEST_BATCH_BYTES", "500000"),
            ("SALDO_INGEST_GIVE_UP_MS", "never"),
            ("SALDO_TENANTS_STALE_MS", "100"),
        ] {
            let error = IngestConfig::from_variables(&Variables::of_pairs([(name, value)])).unwrap_err();
            assert_eq!(error.name, name);
        }
    }
}
