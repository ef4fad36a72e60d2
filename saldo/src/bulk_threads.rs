//! Threads that give way: where ingest reads bulks.
//!
//! Reading a bulk takes a processor for as long as the bulk is long, whoever sends it. On threads of their own, bulks delay
//! neither the tasks of single launches and reads nor nats-server, all of which the system lets go first where all cores are
//! taken. Yet bulks keep a share of the cores.

use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};

/// By how much these threads give way: against a thread that does not, they get two fifths of a core that both want. Less than
/// the aggregator's give way: what is posted is acknowledged before it is folded.
const NICE: i32 = 2;

/// A runtime of its own, ended with the value.
pub struct BulkThreads(Option<Runtime>);

impl BulkThreads {
    /// Starts them.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn start() -> anyhow::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.enable_all().thread_name("bulks").on_thread_start(give_way);
        Ok(Self(Some(builder.build().context("cannot start the threads of bulks")?)))
    }

    /// Where to spawn the reading of a bulk.
    pub fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for BulkThreads {
    /// Without waiting: bulks have ended with their service.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux this is the thread's own; elsewhere it would be the whole process's.
#[cfg(target_os = "linux")]
fn give_way() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the threads of bulks do not give way");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::nice(0).unwrap()
    }

    #[tokio::test]
    async fn its_threads_give_way_and_no_others_do() {
        let ours = niceness();
        let threads = BulkThreads::start().unwrap();
        let theirs = threads.handle().spawn(async { niceness() }).await.unwrap();
        assert_eq!((theirs, niceness()), ((ours + NICE).min(19), ours));
    }
}
