//! Heartbeats of every lane, as a living worker sends them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nats::Changes;
use protocol::notice::{Changed, Notice};
use tokio::task::JoinHandle;

const PERIOD: Duration = Duration::from_millis(100);

/// Beats until it is dropped.
pub struct Heart {
    last: Arc<Mutex<BTreeMap<u16, Notice>>>,
    beats: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Heart {
    pub fn start(changes: Changes, partitions: u16, beats: bool) -> Self {
        let first = (0..partitions).map(|partition| (partition, at_start(partition))).collect();
        let last = Arc::new(Mutex::new(first));
        let beats = Arc::new(AtomicBool::new(beats));
        let task = tokio::spawn(beat(changes, Arc::clone(&last), Arc::clone(&beats)));
        Self { last, beats, task }
    }

    /// Begins or stops to beat.
    pub fn set(&self, beats: bool) {
        self.beats.store(beats, Ordering::SeqCst);
    }

    /// Beats with what this notice said.
    pub fn beat_at(&self, notice: &Notice) {
        let beat = Notice { from: notice.to, changed: Changed::Accounts(Vec::new()), ..notice.clone() };
        self.last.lock().unwrap().insert(notice.partition, beat);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn at_start(partition: u16) -> Notice {
    Notice {
        log_is_whole: None,
        generation: 1,
        epoch: 1,
        incarnation: None,
        partition,
        worker: Some(1),
        from: 0,
        to: 0,
        time_ms: 0,
        end: 0,
        replaying: false,
        changed: Changed::Accounts(Vec::new()),
        stopped: Vec::new(),
    }
}

async fn beat(changes: Changes, last: Arc<Mutex<BTreeMap<u16, Notice>>>, beats: Arc<AtomicBool>) {
    loop {
        let notices: Vec<Notice> = last.lock().unwrap().values().cloned().collect();
        for notice in notices {
            if beats.load(Ordering::SeqCst) {
                // Without a connection it is lost, as a worker's would be.
                let _result = changes.publish(&notice).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}
