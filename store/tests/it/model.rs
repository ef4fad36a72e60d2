//! Random commits, in any order, repeated and stale, against maps.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use ledger::{Balance, Fact, Grain, Place, RowKey};
use proptest::{prelude::*, test_runner::TestRunner};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, PartitionState, RollupBatch},
    load::LoadRequest,
    log::LogMark,
};
use store::{EmbeddedConfig, EmbeddedStore, ScyllaConfig, ScyllaStore, Store, apply_schema};
use testkit::Cassandra;

use crate::sample::{account, all_rows, balance, empty_commit, fact, mark, progress, row, window};
use crate::scylla;

const ACCOUNTS: u16 = 4;
const LANES: u16 = 2;
const STAMPS: u64 = 30;
const LINE_BYTES: usize = 40;

#[derive(Clone, Debug)]
enum Action {
    Commit(Box<Commit>),
    Checkpoint(u16, u64),
    Reopen,
}

/// The rows of an owner by `applied`.
type Owner = (u64, BTreeMap<RowKey, Balance>);

#[derive(Default)]
struct Model {
    partitions: BTreeMap<u16, PartitionState>,
    balances: BTreeMap<u16, Owner>,
    rollups: BTreeMap<u16, Owner>,
    journal: BTreeMap<u16, BTreeMap<Place, Fact>>,
    accounts: BTreeSet<ledger::Account>,
}

fn put(owner: &mut Owner, applied: u64, rows: &[(RowKey, Balance)]) {
    owner.0 = owner.0.max(applied);
    for (key, row) in rows {
        let stored = owner.1.entry(*key).or_insert(*row);
        if stored.applied < row.applied {
            *stored = *row;
        }
    }
}

fn advance(stored: &mut LogMark, mark: LogMark) {
    if mark.sequence > stored.sequence {
        *stored = mark;
    }
}

impl Model {
    fn commit(&mut self, commit: &Commit) {
        let state = self.partitions.entry(commit.partition).or_default();
        advance(&mut state.head, commit.head);
        if state.progress.as_ref().is_none_or(|stored| stored.sequence < commit.progress.sequence) {
            state.progress = Some(commit.progress.clone());
        }
        commit.checkpoint.into_iter().for_each(|mark| advance(&mut state.checkpoint, mark));
        for index in 0..ACCOUNTS {
            for batch in commit.balances.iter().filter(|batch| batch.key == account(index)) {
                put(self.balances.entry(index).or_default(), batch.applied, &batch.rows);
            }
            for chunk in commit.journal.iter().filter(|chunk| chunk.window == window(index)) {
                self.journal
                    .entry(index)
                    .or_default()
                    .extend(chunk.facts.iter().map(|fact| (fact.place, fact.clone())));
            }
        }
        for batch in &commit.rollups {
            put(self.rollups.entry(commit.partition).or_default(), batch.applied, &batch.rows);
        }
        self.accounts.extend(commit.accounts.iter().map(|key| key.account.clone()));
    }

    async fn check(&self, store: &dyn Store) {
        for index in 0..ACCOUNTS {
            let view = store.account_view(&all_rows(index)).await.unwrap();
            let expected = self.balances.get(&index);
            assert_eq!(view.applied, expected.map(|(applied, _)| *applied));
            assert_eq!(view.rows, rows(expected));
            self.check_journal(store, index).await;
        }
        for partition in 0..LANES {
            let state = store.partition_state(partition).await.unwrap();
            assert_eq!(state, self.partitions.get(&partition).cloned().unwrap_or_default());
            let rollup = store.rollup_view(&account(0).tenant, partition, &all_rows(0).ranges).await.unwrap();
            assert_eq!(rollup.applied, self.rollups.get(&partition).map(|(applied, _)| *applied));
            assert_eq!(rollup.rows, rows(self.rollups.get(&partition)));
        }
        let accounts = store.accounts(&account(0).tenant, None, 100).await.unwrap();
        assert_eq!(accounts, self.accounts.iter().cloned().collect::<Vec<_>>());
    }

    async fn check_journal(&self, store: &dyn Store, index: u16) {
        let expected: Vec<Fact> =
            self.journal.get(&index).map(|facts| facts.values().cloned().collect()).unwrap_or_default();
        let request = LoadRequest { windows: vec![window(index)], ..LoadRequest::default() };
        let loaded = store.load(store.incarnation(), 0, &request).await.unwrap();
        let places: Vec<Place> = loaded.windows[0].entries.iter().map(|entry| entry.place).collect();
        assert_eq!(places, expected.iter().map(|fact| fact.place).collect::<Vec<_>>());
        let mut found: Vec<Fact> = Vec::new();
        loop {
            let page = store.launches(&window(index), found.last().map(|fact| fact.place), u64::MAX, 7).await.unwrap();
            found.extend(page.facts);
            if !page.more {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

fn rows(owner: Option<&Owner>) -> Vec<(RowKey, Balance)> {
    owner.map(|(_, rows)| rows.iter().map(|(key, row)| (*key, *row)).collect()).unwrap_or_default()
}

fn some_rows() -> impl Strategy<Value = BTreeSet<RowKey>> {
    let one = (0_usize..3, -40_i32..40, 0_usize..2)
        .prop_map(|(grain, days, currency)| row(Grain::ALL[grain], (days / 13) * 13, ["BRL", "USD"][currency]));
    prop::collection::btree_set(one, 0..8)
}

fn some_commit() -> impl Strategy<Value = Commit> {
    let accounts = prop::collection::vec((some_rows(), 0_u64..6, any::<bool>()), usize::from(ACCOUNTS));
    (0..LANES, 1..=STAMPS, 0_u64..5, any::<bool>(), accounts, some_rows()).prop_map(
        |(partition, stamp, ahead, checkpoint, accounts, rollup)| {
            let mut commit = empty_commit(partition, stamp);
            commit.head = mark(stamp + ahead);
            commit.checkpoint = checkpoint.then(|| mark(stamp));
            let stamped =
                |rows: BTreeSet<RowKey>| rows.into_iter().map(|row| (row, balance(stamp))).collect::<Vec<_>>();
            for (index, (rows, facts, touched)) in (0..).zip(accounts) {
                // An account is in one lane.
                if index % LANES != partition {
                    continue;
                }
                if facts > 0 {
                    let facts =
                        (stamp.saturating_sub(facts) + 1..=stamp).map(|sequence| fact(sequence, LINE_BYTES)).collect();
                    commit.journal.push(JournalChunk { window: window(index), bucket: 0, begins_window: true, facts });
                }
                if touched {
                    commit.accounts.push(account(index));
                }
                if !rows.is_empty() {
                    commit.balances.push(AccountBatch { key: account(index), applied: stamp, rows: stamped(rows) });
                }
            }
            if !rollup.is_empty() {
                commit.rollups.push(RollupBatch { tenant: account(0).tenant, applied: stamp, rows: stamped(rollup) });
            }
            commit.progress = progress(stamp);
            commit
        },
    )
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        20 => some_commit().prop_map(|commit| Action::Commit(Box::new(commit))),
        2 => (0..LANES, 1..=STAMPS).prop_map(|(partition, sequence)| Action::Checkpoint(partition, sequence)),
        1 => Just(Action::Reopen),
    ];
    prop::collection::vec(action, 1..40)
}

/// A store that is there again after it was dropped.
#[async_trait]
trait Home {
    async fn open(&self) -> Arc<dyn Store>;
}

#[async_trait]
impl Home for tempfile::TempDir {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(EmbeddedConfig::new(self.path())).unwrap())
    }
}

#[async_trait]
impl Home for ScyllaConfig {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(ScyllaStore::connect(self.clone()).await.unwrap())
    }
}

async fn run(actions: Vec<Action>, home: &dyn Home) {
    let (mut store, mut model) = (home.open().await, Model::default());
    for action in actions {
        match action {
            Action::Commit(mut commit) => {
                commit.checkpoint = commit.checkpoint.filter(|_| store.commits_atomically());
                model.commit(&commit);
                store.commit(store.incarnation(), &Arc::new(*commit)).await.unwrap();
            }
            Action::Checkpoint(partition, sequence) => {
                advance(&mut model.partitions.entry(partition).or_default().checkpoint, mark(sequence));
                store.write_checkpoint(store.incarnation(), partition, mark(sequence)).await.unwrap();
            }
            Action::Reopen => {
                model.check(&*store).await;
                drop(store);
                store = home.open().await;
            }
        }
    }
    model.check(&*store).await;
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_commits_agree_with_maps(actions in actions()) {
        block_on(run(actions, &tempfile::tempdir().unwrap()));
    }
}

/// Fewer cases, for each makes a keyspace; nothing is made smaller, for that would make a hundred.
#[test]
fn random_commits_agree_with_maps_in_cql() {
    let server = Cassandra::shared().unwrap();
    let made = Cell::new(0);
    let config = ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() };
    let case = |actions| {
        let config = scylla::config(&server, &format!("model_{}", made.replace(made.get() + 1)));
        block_on(async {
            apply_schema(&config, &scylla::replication()).await.unwrap();
            run(actions, &config).await;
        });
        Ok(())
    };
    TestRunner::new(config).run(&actions(), case).unwrap();
}
