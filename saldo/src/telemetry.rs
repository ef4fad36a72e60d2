//! Logging of this process.

use service::{
    Variables,
    telemetry::{TelemetryConfig, init as install},
};

/// Sets logging up as the variables say; without `SALDO_LOG` with the directives in `default_filter`.
///
/// # Errors
/// A variable cannot be used.
pub fn init(variables: &Variables, default_filter: &str) -> anyhow::Result<()> {
    let mut config = TelemetryConfig::from_variables(variables)?;
    if variables.text("SALDO_LOG").is_none() {
        default_filter.clone_into(&mut config.filter);
    }
    Ok(install(&config)?)
}
