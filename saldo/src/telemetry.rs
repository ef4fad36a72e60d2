//! Logging of this process.

use service::{
    Variables,
    telemetry::{TelemetryConfig, init as install},
};

/// Sets logging up as the variables say; modules that `SALDO_LOG` does not name have the level `default_filter`.
///
/// # Errors
/// A variable cannot be used.
pub fn init(variables: &Variables, default_filter: &str) -> anyhow::Result<()> {
    Ok(install(&TelemetryConfig::from_variables(variables, default_filter)?)?)
}
