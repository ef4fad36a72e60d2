//! Logging. Called in `main` only: libraries and tests never install a subscriber.

mod directives;
mod flood;

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{ConfigError, Variables};
use flood::Flood;

/// What is logged, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// `SALDO_LOG`: filter directives as of `tracing` (`info`, `ingest=debug,info`). Access logs are at `debug`.
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
    /// The system has no threads left.
    #[error("logging has no thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl TelemetryConfig {
    /// Reads the variables; `default_filter` is for the modules that `SALDO_LOG` does not name.
    ///
    /// # Errors
    /// The format is neither `text` nor `json`, or the filter has a word that is no level.
    pub fn from_variables(variables: &Variables, default_filter: &str) -> Result<Self, ConfigError> {
        let json = match variables.text("SALDO_LOG_FORMAT").unwrap_or("text") {
            "text" => false,
            "json" => true,
            _ => return Err(variables.error("SALDO_LOG_FORMAT", "expected text or json")),
        };
        let filter = directives::complete(variables.text("SALDO_LOG").unwrap_or_default(), default_filter);
        Ok(Self { filter: filter.map_err(|expected| variables.error("SALDO_LOG", expected))?, json })
    }
}

/// Installs the subscriber of this process: to standard error, so that standard output stays for what a person asked.
///
/// # Errors
/// The filter cannot be read, or a subscriber is installed already.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let flood = Flood::new();
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&config.filter)?).with(flood.clone());
    if config.json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()?;
    } else {
        registry.with(fmt::layer().with_ansi(is_coloured()).with_writer(std::io::stderr)).try_init()?;
    }
    std::thread::Builder::new().name("log-summary".to_owned()).spawn(move || flood::summarise(&flood))?;
    Ok(())
}

/// Colours are for a terminal whose user has not asked to be spared (`NO_COLOR`, <https://no-color.org>); in a file they are
/// noise.
fn is_coloured() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !is_unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_text_or_json() {
        let read = |value| TelemetryConfig::from_variables(&Variables::of_pairs([("SALDO_LOG_FORMAT", value)]), "info");
        assert!(!read("").unwrap().json);
        assert!(read("json").unwrap().json);
        assert!(read("xml").is_err());
    }
}
