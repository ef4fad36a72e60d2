//! What a service tells of itself: its metrics and whether it is ready.

use std::time::Duration;

use anyhow::{Context, ensure};
use testkit::wait_until_async;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sum of a metric of the service at `base` over all series that have `label` in them; 0 when there is none.
pub async fn metric(base: &str, name: &str, label: &str) -> anyhow::Result<f64> {
    let answer = reqwest::get(format!("{base}/metrics")).await?;
    ensure!(answer.status().is_success(), "{base} has no metrics");
    let text = answer.text().await?;
    let series = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(['{', ' ']));
    let numbers = series.filter(|rest| rest.contains(label)).filter_map(|rest| rest.rsplit(' ').next());
    numbers.map(|number| number.parse::<f64>().with_context(|| format!("{name} is {number}"))).sum()
}

/// Waits until a metric is what `is_wanted` says.
pub async fn wait_for_metric(
    base: &str,
    name: &str,
    label: &str,
    is_wanted: impl Fn(f64) -> bool,
) -> anyhow::Result<()> {
    wait_until_async(&format!("{name}{{{label}}} of {base}"), PATIENCE, async || {
        is_wanted(metric(base, name, label).await.ok()?).then_some(())
    })
    .await
}

/// Waits until the service says that it is not ready, with a sentence that holds `part`.
pub async fn wait_until_not_ready(base: &str, part: &str) -> anyhow::Result<()> {
    let what = format!("not ready: {part}");
    let waited = wait_until_async(&what, PATIENCE, async || is_not_ready(base, part).await.then_some(())).await;
    with_readiness(base, waited).await
}

/// What was waited for in vain, and what the service says of itself instead.
pub async fn with_readiness<T>(base: &str, waited: anyhow::Result<T>) -> anyhow::Result<T> {
    match waited {
        Ok(value) => Ok(value),
        Err(error) => Err(error.context(format!("{base} says {:?}", readiness(base).await))),
    }
}

/// Whether the service says that it is not ready, with a sentence that holds `part`.
pub async fn is_not_ready(base: &str, part: &str) -> bool {
    readiness(base).await.is_ok_and(|(status, text)| !status.is_success() && text.contains(part))
}

async fn readiness(base: &str) -> reqwest::Result<(reqwest::StatusCode, String)> {
    let answer = reqwest::get(format!("{base}/health/ready")).await?;
    Ok((answer.status(), answer.text().await?))
}

/// Waits until the service says that it is ready.
pub async fn wait_until_ready(base: &str) -> anyhow::Result<()> {
    wait_until_async("readiness", PATIENCE, async || {
        readiness(base).await.is_ok_and(|(status, _)| status.is_success()).then_some(())
    })
    .await
}
