//! Where parsing and folding run.
//!
//! Both are pure computations that take tens of milliseconds for a flood and microseconds for a lone launch. On a thread
//! of the runtime a long one would hold up every task queued there, answers of the query service in the same process
//! among them: with four lanes catching up on two cores, all of them. So a long one hands its runtime thread's tasks over
//! first (`block_in_place`) and then competes as a thread of the operating system, which shares cores in slices of
//! milliseconds. A short one is not worth the hand-over.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Payloads from this size on (about 300 launches, 100 µs) are worth a hand-over, which costs about 10 µs.
const LONG_FROM_BYTES: usize = 64 * 1024;

/// Runs `work` on this thread; `bytes` of payload tell whether it may take long.
pub(crate) fn compute<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let can_hand_over = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if bytes >= LONG_FROM_BYTES && can_hand_over { tokio::task::block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_of_one_thread_computes_too() {
        assert_eq!(compute(usize::MAX, || 7), 7);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn long_work_does_not_hold_up_the_other_tasks_of_its_thread() {
        let (sender, receiver) = std::sync::mpsc::channel();
        tokio::spawn(async move { sender.send(()) });
        let heard = tokio::spawn(async move {
            compute(LONG_FROM_BYTES, || receiver.recv_timeout(std::time::Duration::from_secs(20)).is_ok())
        });
        assert!(heard.await.unwrap());
    }
}
