//! Threads that give way: where the aggregator runs.
//!
//! What ingest acknowledges is on the log, and a caller waits for it; when that becomes a balance is a matter of milliseconds
//! more or less. So where all cores are taken, ingest and query go first. The aggregator does not starve: it keeps a share of
//! the cores, and the further it is behind, the more launches share one commit and the less each of them costs.

use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};

/// By how much the threads give way: against a thread that does not, they get a seventh of a core that both want.
const NICE: i32 = 8;

/// A runtime of its own, ended with the value.
pub struct Background(Option<Runtime>);

impl Background {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn start() -> anyhow::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.enable_all().thread_name("background").on_thread_start(give_way);
        Ok(Self(Some(builder.build().context("cannot start the threads of the aggregator")?)))
    }

    /// Where to spawn.
    pub fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Background {
    /// Without waiting: what runs here has ended, or is left behind at the deadline of the stop.
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
        tracing::debug!(%error, "the aggregator's threads do not give way");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_threads_give_way_and_no_others_do() {
        let ours = rustix::process::nice(0).unwrap();
        let background = Background::start().unwrap();
        let handle = background.handle();
        // What is begun there, as the threads of the store, gives way, too.
        let begun = || std::thread::spawn(|| rustix::process::nice(0)).join().unwrap();
        let theirs = [
            handle.spawn(async { rustix::process::nice(0) }).await.unwrap().unwrap(),
            handle.spawn_blocking(|| rustix::process::nice(0)).await.unwrap().unwrap(),
            handle.spawn_blocking(begun).await.unwrap().unwrap(),
        ];
        assert_eq!(theirs, [(ours + NICE).min(19); 3]);
        assert_eq!(rustix::process::nice(0).unwrap(), ours);
    }
}
