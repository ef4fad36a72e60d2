//! A worker with a store in memory, driven to the end of what it was given.

use bytes::Bytes;
use ledger::{AccountKey, Balance, BusinessDate, Grain, RowKey};

use crate::{
    commit::Commit,
    log::{LogIdentity, LogMessage},
    notice::Notice,
    parked::ParkedMessage,
    simulation::store::{SimulatedStore, StoreMode},
    worker::{ParsedMessage, Step, Worker, WorkerConfig, config::Bounds, config::Rules},
};

pub(super) fn identity() -> LogIdentity {
    LogIdentity { epoch: 1, stream_id: "log".into(), partitions: 1 }
}

pub(super) fn message(sequence: u64, payload: impl Into<Bytes>) -> LogMessage {
    LogMessage { sequence, time_ms: 1_000 + i64::try_from(sequence).unwrap(), payload: payload.into() }
}

/// A worker, its store, and all that came out of it.
pub(super) struct Alone {
    pub(super) worker: Worker,
    pub(super) store: SimulatedStore,
    pub(super) commits: Vec<Commit>,
    pub(super) notices: Vec<Notice>,
    pub(super) parked: Vec<ParkedMessage>,
}

impl Alone {
    pub(super) fn new() -> Self {
        Self::with(WorkerConfig::default(), Bounds::default(), SimulatedStore::new(StoreMode::Atomic))
    }

    pub(super) fn with(config: WorkerConfig, bounds: Bounds, store: SimulatedStore) -> Self {
        let state = store.partition_state(0);
        let worker =
            Worker::start(config, identity(), 0, 1, 1, &state, 0).unwrap().with_rules(bounds, Rules::default());
        Self { worker, store, commits: Vec::new(), notices: Vec::new(), parked: Vec::new() }
    }

    pub(super) fn offer(&mut self, sequence: u64, payload: impl Into<Bytes>) {
        self.worker.offer(ParsedMessage::parse(message(sequence, payload), 0, 1));
    }

    /// Does what the worker says until it waits or gives up.
    pub(super) fn drive(&mut self) -> Step {
        loop {
            match self.worker.next(0) {
                Step::Load(request) => self.worker.loaded(self.store.load(0, &request)),
                Step::Park(parked) => {
                    self.parked.extend(parked.iter().cloned());
                    self.worker.parked();
                }
                Step::Commit(commit) => {
                    self.store.commit(&commit, 0);
                    self.commits.push((*commit).clone());
                    self.worker.committed(0);
                }
                Step::Notify(notice) => self.notices.push(notice),
                Step::WriteCheckpoint(mark) => {
                    self.store.write_checkpoint(0, mark, 0);
                    self.worker.checkpoint_written();
                }
                end @ (Step::Wait | Step::Restart(_) | Step::Refuse(_)) => return end,
            }
        }
    }

    pub(super) fn rows(&self, key: &AccountKey) -> Vec<(RowKey, Balance)> {
        let whole = Grain::ALL.map(|grain| (grain, BusinessDate::MIN, BusinessDate::MAX));
        self.store.account_view(key, &whole).1
    }
}

pub(super) fn key(tenant: &str, account: &str) -> AccountKey {
    serde_json::from_value(serde_json::json!({"tenant": tenant, "account": account})).unwrap()
}

/// A launch of tenant `acme`, one BRL.
pub(super) fn line(account: &str, date: &str, id: &str, amount: &str) -> String {
    format!(
        r#"{{"id":"{id}","tenant":"acme","account":"{account}","date":"{date}","kind":"credit","amount":"{amount}","currency":"BRL"}}"#
    )
}
