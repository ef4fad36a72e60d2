//! Load: closed (each connection waits for its answer before it asks again) where throughput is the question, open
//! (requests leave at times that were set beforehand) where latency is.

mod closed;
mod open;

pub use closed::{Closed, Throughput, closed};
pub use open::{Due, Open, open};

use std::{future::Future, thread};

use anyhow::Context;

/// Runs load in a thread with a runtime of its own: one core at most, for the server needs the others.
pub fn in_own_thread<T: Send>(load: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(load)
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|_| anyhow::bail!("the load broke down"))
}
