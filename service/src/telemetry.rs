//! Logging. Called in `main` only: libraries and tests never install a subscriber.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{ConfigError, Variables};

/// What is logged, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// `SALDO_LOG`: filter directives as of `tracing` (`info`, `ingest=debug,info`); default `info`. Access logs are at
    /// `debug`.
    pub filter: String,
    /// `SALDO_LOG_FORMAT`: `text` (default) or `json`, one object a line.
    pub json: bool,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("SALDO_LOG is no log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else has installed a subscriber before.
    #[error("logging is already set up: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

impl TelemetryConfig {
    /// Reads the variables.
    ///
    /// # Errors
    /// The format is neither `text` nor `json`.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let json = match variables.text("SALDO_LOG_FORMAT").unwrap_or("text") {
            "text" => false,
            "json" => true,
            _ => return Err(variables.error("SALDO_LOG_FORMAT", "expected text or json")),
        };
        Ok(Self { filter: variables.text("SALDO_LOG").unwrap_or("info").to_owned(), json })
    }
}

/// Installs the subscriber of this process: to standard error, so that standard output stays for what a person asked.
///
/// # Errors
/// The filter cannot be read, or a subscriber is installed already.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&config.filter)?);
    if config.json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()?;
    } else {
        // Colours are for a terminal; in a file they are noise.
        registry
            .with(fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr))
            .try_init()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_text_or_json() {
        let read = |value| TelemetryConfig::from_variables(&Variables::of_pairs([("SALDO_LOG_FORMAT", value)]));
        assert!(!read("").unwrap().json);
        assert!(read("json").unwrap().json);
        assert!(read("xml").is_err());
    }
}
