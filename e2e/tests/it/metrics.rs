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
    wait_until_async(&format!("not ready: {part}"), PATIENCE, async || is_not_ready(base, part).await.then_some(()))
        .await
}

/// Whether the service says that it is not ready, with a sentence that holds `part`.
pub async fn is_not_ready(base: &str, part: &str) -> bool {
    let Ok(answer) = reqwest::get(format!("{base}/health/ready")).await else { return false };
    !answer.status().is_success() && answer.text().await.is_ok_and(|text| text.contains(part))
}

/// Waits until the service says that it is ready.
pub async fn wait_until_ready(base: &str) -> anyhow::Result<()> {
    wait_until_async("readiness", PATIENCE, async || {
        reqwest::get(format!("{base}/health/ready")).await.ok()?.status().is_success().then_some(())
    })
    .await
}
