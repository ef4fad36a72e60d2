//! `saldo health`: asks a running service, for supervisors whose image has no other HTTP client.

use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::HealthArguments;

/// How long the answer may take; shorter than the patience of those who ask.
const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds if the service is ready.
///
/// # Errors
/// The service's own sentence that says why it is not ready, or that it does not answer.
pub fn health(arguments: &HealthArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(ask(&format!("{}/health/ready", arguments.url.trim_end_matches('/'))))
}

async fn ask(url: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().context("cannot make an HTTP client")?;
    let answer = http.get(url).send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let said = answer.text().await.with_context(|| format!("no whole answer from {url}"))?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", said.trim());
    }
    println!("{}", said.trim());
    Ok(())
}
