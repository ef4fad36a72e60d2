//! The task that reads the file again and again.

use std::time::Duration;

use retry::Shutdown;

use super::Tenants;

/// Confirms the settings every `reload_ms` until the shutdown begins. What is wrong is logged when it changes, not each
/// time.
pub async fn keep_fresh(tenants: Tenants, shutdown: Shutdown) {
    if tenants.config.file.is_none() {
        return;
    }
    let mut told = String::new();
    while shutdown.sleep(Duration::from_millis(tenants.config.reload_ms)).await {
        let reader = tenants.clone();
        let read = tokio::task::spawn_blocking(move || reader.reload()).await;
        let complaint = match read {
            Ok(Ok(refused)) if refused.is_empty() => String::new(),
            Ok(Ok(refused)) => format!("settings change too early and are refused for {refused:?}"),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if complaint != told && !complaint.is_empty() {
            tracing::error!("{complaint}; dates are derived from the last good settings until they are stale");
        } else if complaint != told {
            tracing::info!("the tenants file is good again");
        }
        told = complaint;
    }
}
