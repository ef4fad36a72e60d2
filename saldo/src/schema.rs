//! `saldo schema apply`: a job of its own, before services of a new version start.

use anyhow::Context;
use service::Variables;
use store::{StoreError, apply_schema};
use tracing::info;

use crate::{cql_store, telemetry};

/// How often the cluster is tried: it may be starting beside this job.
const ATTEMPTS: usize = 60;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// Makes the keyspace and the tables, or brings them up to date.
///
/// # Errors
/// The cluster cannot be reached for two minutes, or does not let this user do it.
pub fn apply() -> anyhow::Result<()> {
    let variables = Variables::of_process();
    telemetry::init(&variables, "info")?;
    let config = cql_store::config(&variables, "`saldo schema apply`")?;
    let replication = cql_store::replication(&variables)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let version = runtime.block_on(async {
        let mut attempts_left = ATTEMPTS;
        loop {
            attempts_left -= 1;
            match apply_schema(&config, &replication).await {
                Err(error) if attempts_left > 0 && StoreError::retry_helps(&error) => {
                    tracing::warn!(%error, "the schema is not applied yet, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    })?;
    info!(keyspace = config.keyspace, version, "the schema is applied");
    Ok(())
}
