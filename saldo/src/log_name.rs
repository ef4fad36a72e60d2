//! `saldo log restored` and `saldo log raise-epoch`: the log gets another name, so that what was
//! given out before means nothing.

use std::io::{Write, stdout};

use anyhow::Context;
use nats::{Client, Log, Renamed, Renaming};
use service::Variables;

use crate::{
    cli::{LogRaiseEpochArguments, LogRestoredArguments},
    nats_client::{self, STREAM_EPOCH},
};

/// What is to be done after a renaming, whatever it was for.
const NEXT: &str = "\
Positions and ETags that were given out before mean nothing from now on. Ingest posts nothing and query answers nothing until
they are started again.
Next: stop all services and start them again with an empty store, which is filled from the log:
  saldo up: remove the folder store/ in the data folder
  CQL:      another SALDO_SCYLLA_KEYSPACE, and `saldo schema apply`
";

/// Draws another incarnation for a log that was restored.
///
/// # Errors
/// NATS cannot be reached, or has no log of Saldo's with whole metadata.
pub fn restored(arguments: &LogRestoredArguments) -> anyhow::Result<()> {
    rename(arguments.nats.as_deref(), "saldo log restored", Renaming::Restored)
}

/// Raises the epoch.
///
/// # Errors
/// NATS cannot be reached or has no log of Saldo's, or there is no higher epoch.
pub fn raise_epoch(arguments: &LogRaiseEpochArguments) -> anyhow::Result<()> {
    rename(arguments.nats.as_deref(), "saldo log raise-epoch", Renaming::RaisedEpoch(arguments.epoch))
}

fn rename(servers: Option<&str>, name: &str, renaming: Renaming) -> anyhow::Result<()> {
    let nats = nats_client::of_variables(servers, &Variables::of_process(), name)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let renamed = runtime.block_on(async {
        let client = Client::connect(&nats).await?;
        anyhow::Ok(Log::rename(&client, STREAM_EPOCH, renaming).await?)
    })?;
    // Whoever read it may have gone; the log is renamed all the same.
    let _nobody_reads = write!(stdout(), "{}\n{NEXT}", told(&renamed));
    Ok(())
}

fn told(Renamed { epoch_before, identity }: &Renamed) -> String {
    let before = epoch_before.map_or_else(|| "lost".to_owned(), |epoch| epoch.to_string());
    format!("epoch: {before} before, {} from now on\nthe log is {identity}", identity.epoch)
}
