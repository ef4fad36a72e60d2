//! Threads that give way: where the aggregator and the store work.
//!
//! What ingest acknowledges is on the log, and a caller waits for it; when that becomes a balance is a matter of milliseconds
//! more or less. So where all cores are taken, ingest and query go first. Lanes work on threads that run only where nobody
//! else wants to, and move to others, which keep a share of the cores, before they are far behind; see [`Threads`].

use aggregator::Threads;
use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};

/// By how much insistent threads give way: against a thread that does not, they get a third of a core that both want.
const NICE: i32 = 3;

/// Runtimes of its own, ended with the value.
pub struct Background {
    patient: Option<Runtime>,
    insistent: Option<Runtime>,
}

impl Background {
    /// Starts them.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn start() -> anyhow::Result<Self> {
        let start = |name, begins: fn()| {
            let mut builder = Builder::new_multi_thread();
            builder.enable_all().thread_name(name).on_thread_start(begins);
            builder.build().context("cannot start the threads of the aggregator")
        };
        Ok(Self { patient: Some(start("patient", wait_for_all)?), insistent: Some(start("background", give_way)?) })
    }

    /// Where to spawn what gives way and yet keeps a share.
    pub fn handle(&self) -> Handle {
        handle(self.insistent.as_ref())
    }

    /// Where lanes work.
    pub fn threads(&self) -> Threads {
        Threads { patient: handle(self.patient.as_ref()), insistent: self.handle() }
    }
}

impl Drop for Background {
    /// Without waiting: what runs here has ended, or is left behind at the deadline of the stop.
    fn drop(&mut self) {
        for runtime in [self.patient.take(), self.insistent.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

fn handle(runtime: Option<&Runtime>) -> Handle {
    runtime.map_or_else(Handle::current, |runtime| runtime.handle().clone())
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

/// `SCHED_IDLE`: the system lets anybody else go first, and counts a core that only such threads work on as free. Where it
/// refuses, these threads are as the others.
#[cfg(target_os = "linux")]
fn wait_for_all() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };

    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!(?error, "the aggregator's threads do not wait for all others");
        give_way();
    }
}

#[cfg(not(target_os = "linux"))]
fn wait_for_all() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};

    use super::*;

    const NORMAL: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

    /// How threads stand that work, that block, and that are begun there, as those of the store are.
    async fn standings(handle: &Handle) -> [(i32, ThreadSchedulePolicy); 3] {
        let begun = || std::thread::spawn(standing).join().unwrap();
        [
            handle.spawn(async { standing() }).await.unwrap(),
            handle.spawn_blocking(standing).await.unwrap(),
            handle.spawn_blocking(begun).await.unwrap(),
        ]
    }

    fn standing() -> (i32, ThreadSchedulePolicy) {
        (rustix::process::nice(0).unwrap(), thread_schedule_policy().unwrap())
    }

    #[tokio::test]
    async fn its_threads_give_way_and_no_others_do() {
        let ours = standing();
        assert_eq!(ours.1, NORMAL);
        let background = Background::start().unwrap();
        assert_eq!(standings(&background.handle()).await, [((ours.0 + NICE).min(19), NORMAL); 3]);
        assert_eq!(standings(&background.threads().insistent).await, [((ours.0 + NICE).min(19), NORMAL); 3]);
        assert_eq!(standings(&background.threads().patient).await, [(ours.0, IDLE); 3]);
        assert_eq!(standing(), ours);
    }
}
