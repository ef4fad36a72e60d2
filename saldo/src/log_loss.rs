//! `saldo log accept-loss`: what is missing of a damaged log is recorded, so that the log counts as whole without it.

use std::io::{Write, stdout};

use anyhow::Context;
use nats::{Client, Log};
use service::Variables;

use crate::{
    cli::LogAcceptLossArguments,
    nats_client::{self, STREAM_EPOCH},
};

/// What follows an accepted loss.
const NEXT: &str = "\
These losses are accepted from now on: the log counts as whole without them. Within seconds aggregators that run read the log
again and say so; what does not run can be started. What was in these messages is in no balance, unless it was posted again.
";

/// Reads the whole log, says which messages are missing, and records that exactly these are accepted as lost.
///
/// # Errors
/// NATS cannot be reached, has no log of Saldo's with whole metadata, or cannot read it.
pub fn accept_loss(arguments: &LogAcceptLossArguments) -> anyhow::Result<()> {
    let variables = Variables::of_process();
    let nats = nats_client::of_variables(arguments.nats.as_deref(), &variables, "saldo log accept-loss")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let missing = runtime.block_on(async {
        let client = Client::connect(&nats).await?;
        anyhow::Ok(Log::accept_loss(&client, STREAM_EPOCH).await?)
    })?;
    let told = match missing.is_empty() {
        true => "no message of the log is missing, and no loss is accepted\n".to_owned(),
        false => format!("messages missing, {missing}\n{NEXT}"),
    };
    // Whoever read it may have gone; it is recorded all the same.
    let _nobody_reads = stdout().write_all(told.as_bytes());
    Ok(())
}
