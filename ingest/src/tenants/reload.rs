//! The task that reads the file again and again.

use std::time::Duration;

use retry::Shutdown;

use super::{Tenants, changes::Told};

/// Confirms the settings every `reload_ms` until the shutdown begins. What is new is logged, not each time the same.
pub async fn keep_fresh(tenants: Tenants, shutdown: Shutdown) {
    if tenants.config.file.is_none() {
        return;
    }
    let mut told = Told::default();
    while shutdown.sleep(Duration::from_millis(tenants.config.reload_ms)).await {
        let reader = tenants.clone();
        let read = tokio::task::spawn_blocking(move || reader.reload()).await;
        let read = read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
        match read {
            Ok(reading) => told.read(&reading),
            Err(why) => told.could_not_read(&why),
        }
    }
}
