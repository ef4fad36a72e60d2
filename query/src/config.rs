//! The configuration of the query service.

use nats::ClientConfig;
use service::{ConfigError, HttpLimits, TrustedCallers, Variables};

/// What a query instance is told at its start.
#[derive(Clone, Debug)]
pub struct QueryConfig {
    /// How to reach NATS, for change notices, and to be told which log there is.
    pub nats: ClientConfig,
    /// `SALDO_QUERY_CACHE_BYTES`: memory for answers, bookkeeping included. Default 256 MiB.
    pub cache_bytes: usize,
    /// `SALDO_QUERY_MAX_FILLS`: reads of the store at once, shared fairly between tenants; more wait, and take turns.
    /// Default 64.
    pub max_fills: usize,
    /// `SALDO_QUERY_FIRST_WORD_MS`: how long after its start it waits to be told by NATS which log there is, and then for the
    /// first word of a lane's worker, in milliseconds, before it answers from the store without. Default 3,000. Only a worker
    /// knows that the log lost its end, or was restored in secret.
    pub first_word_ms: u64,
    /// Bounds of the HTTP server.
    pub http: HttpLimits,
    /// Who may call without credentials.
    pub trusted: TrustedCallers,
}

impl QueryConfig {
    /// 256 MiB, 64 fills, three seconds.
    pub fn new(nats: ClientConfig) -> Self {
        Self {
            nats,
            cache_bytes: 256 << 20,
            max_fills: 64,
            first_word_ms: 3_000,
            http: HttpLimits::default(),
            trusted: TrustedCallers::default(),
        }
    }

    /// Reads the variables.
    ///
    /// # Errors
    /// A variable is out of its bounds.
    pub fn from_variables(variables: &Variables, nats: ClientConfig) -> Result<Self, ConfigError> {
        let default = Self::new(nats);
        Ok(Self {
            cache_bytes: variables.number("SALDO_QUERY_CACHE_BYTES", default.cache_bytes, 0..=1 << 40)?,
            max_fills: variables.number("SALDO_QUERY_MAX_FILLS", default.max_fills, 1..=65_536)?,
            first_word_ms: variables.number("SALDO_QUERY_FIRST_WORD_MS", default.first_word_ms, 0..=3_600_000)?,
            http: HttpLimits::from_variables(variables)?,
            trusted: TrustedCallers::from_variables(variables)?,
            nats: default.nats,
        })
    }
}
