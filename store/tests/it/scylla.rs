//! The CQL store against a real server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use store::{
    AccountRead, Replication, ScyllaConfig, ScyllaConsistency, ScyllaStore, Store, StoreError, StoreErrorKind,
    apply_schema,
    conformance::{self, Factory, Subject},
};
use testkit::{
    CASSANDRA_DATACENTER, CASSANDRA_PASSWORD, CASSANDRA_USER, Cassandra, CassandraCluster, wait_until_async,
};

use crate::sample::{all_rows, balance, commit};

/// Keyspaces, each used once.
struct Keyspaces {
    /// Of any keyspace.
    config: ScyllaConfig,
    replication: Replication,
    made: AtomicU32,
}

/// One copy.
pub fn replication() -> Replication {
    Replication::from([(CASSANDRA_DATACENTER.to_owned(), 1)])
}

/// A keyspace of a server of one node.
pub fn config(server: &Cassandra, keyspace: &str) -> ScyllaConfig {
    ScyllaConfig {
        keyspace: keyspace.to_owned(),
        consistency: ScyllaConsistency::LocalOne,
        ..ScyllaConfig::new(vec![server.address()])
    }
}

/// A copy on each node.
pub fn cluster_replication(cluster: &CassandraCluster) -> Replication {
    Replication::from([(CASSANDRA_DATACENTER.to_owned(), u16::try_from(cluster.size()).unwrap())])
}

/// A cluster, as a client in its data centre reaches it.
pub fn cluster_config(cluster: &CassandraCluster) -> ScyllaConfig {
    ScyllaConfig {
        consistency: ScyllaConsistency::LocalQuorum,
        datacenter: Some(CASSANDRA_DATACENTER.to_owned()),
        // Nobody loses anything here: a connection may be slow on a busy machine for long before it counts as dead.
        commit_log_period_ms: 60_000,
        ..ScyllaConfig::new(cluster.addresses().split(',').map(str::to_owned).collect())
    }
}

#[async_trait]
impl Factory for Keyspaces {
    async fn empty(&self) -> Result<Box<dyn Subject>, StoreError> {
        let keyspace = format!("conformance_{}", self.made.fetch_add(1, SeqCst));
        let config = ScyllaConfig { keyspace, ..self.config.clone() };
        apply_schema(&config, &self.replication).await?;
        let store = Arc::new(ScyllaStore::connect(config.clone()).await?);
        Ok(Box::new(InKeyspace { config, store: Some(store) }))
    }
}

struct InKeyspace {
    config: ScyllaConfig,
    store: Option<Arc<ScyllaStore>>,
}

impl InKeyspace {
    fn opened(&self) -> &Arc<ScyllaStore> {
        self.store.as_ref().unwrap()
    }
}

#[async_trait]
impl Subject for InKeyspace {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.opened()) as Arc<dyn Store>
    }

    async fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = None;
        self.store = Some(Arc::new(ScyllaStore::connect(self.config.clone()).await?));
        Ok(())
    }

    fn fail_after_steps(&mut self, steps: usize) -> bool {
        self.opened().fail_after_writes(steps);
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = Cassandra::shared().unwrap();
    check_conformance(config(&server, ""), replication()).await;
}

/// Three nodes with a copy each, of which two must have answered.
#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_a_cluster() {
    let cluster = CassandraCluster::shared().unwrap();
    check_conformance(cluster_config(&cluster), cluster_replication(&cluster)).await;
}

async fn check_conformance(config: ScyllaConfig, replication: Replication) {
    let keyspaces = Keyspaces { config, replication, made: AtomicU32::new(0) };
    if let Err(failure) = conformance::run(&keyspaces).await {
        panic!("{failure}");
    }
}

/// Two jobs at once, on a keyspace that is not there; and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_may_be_applied_again_and_by_two_at_once() {
    let server = Cassandra::shared().unwrap();
    let config = config(&server, "schema_twice");
    let copies = replication();
    let (one, other) = tokio::join!(apply_schema(&config, &copies), apply_schema(&config, &copies));
    assert_eq!(one.unwrap(), other.unwrap());
    let store = ScyllaStore::connect(config.clone()).await.unwrap();
    store.commit(store.incarnation(), &commit(1, 100)).await.unwrap();
    apply_schema(&config, &copies).await.unwrap();
    assert_eq!(store.account_view(&all_rows(0)).await.unwrap().applied, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_without_the_schema_or_with_a_newer_one_is_refused() {
    let server = Cassandra::shared().unwrap();
    let missing = config(&server, "schema_missing");
    refused_with(&connect_error(&missing).await, "run `saldo schema apply`");
    let newer = config(&server, "schema_newer");
    apply_schema(&newer, &replication()).await.unwrap();
    let session =
        ::scylla::client::session_builder::SessionBuilder::new().known_node(server.address()).build().await.unwrap();
    let raise = "INSERT INTO schema_newer.schema_version (name, version) VALUES ('saldo', 1000) USING TIMESTAMP 1000";
    session.query_unpaged(raise, &[]).await.unwrap();
    refused_with(&connect_error(&newer).await, "schema version 1000");
    refused_with(&apply_schema(&newer, &replication()).await.unwrap_err(), "schema version 1000");
}

async fn connect_error(config: &ScyllaConfig) -> StoreError {
    match ScyllaStore::connect(config.clone()).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[track_caller]
fn refused_with(error: &StoreError, words: &str) {
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert!(!error.retry_helps() && error.message.contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_are_told_as_such() {
    let server = Cassandra::shared().unwrap();
    let mut config = config(&server, "two_copies");
    apply_schema(&config, &replication()).await.unwrap();
    let session =
        ::scylla::client::session_builder::SessionBuilder::new().known_node(server.address()).build().await.unwrap();
    let copies = "ALTER KEYSPACE two_copies WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}";
    session.query_unpaged(copies, &[]).await.unwrap();
    config.consistency = ScyllaConsistency::LocalQuorum;
    let error = connect_error(&config).await;
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("not enough replicas"), "{error}");
}

/// A server with a certificate and passwords; it is killed, paused, and brought back.
#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_server_is_reached_lost_and_found_again() {
    let mut server = Cassandra::options().with_tls_and_password().start().unwrap();
    let mut config = config(&server, "guarded");
    config.tls_ca = Some(server.certificate());
    // A pause is found out later than it lasts here.
    config.commit_log_period_ms = 60_000;
    config.request_timeout_ms = 500;
    refused_with(&apply_schema(&config, &replication()).await.unwrap_err(), "does not let this user in");
    config.user = Some(CASSANDRA_USER.to_owned());
    config.password = Some("wrong".to_owned());
    refused_with(&apply_schema(&config, &replication()).await.unwrap_err(), "does not let this user in");
    config.password = Some(CASSANDRA_PASSWORD.to_owned());
    let plain = ScyllaConfig { tls_ca: None, ..config.clone() };
    assert_eq!(apply_schema(&plain, &replication()).await.unwrap_err().kind, StoreErrorKind::Unavailable);
    apply_schema(&ScyllaConfig { request_timeout_ms: 6_000, ..config.clone() }, &replication()).await.unwrap();
    let store = ScyllaStore::connect(config.clone()).await.unwrap();
    let incarnation = store.incarnation();
    store.commit(incarnation, &commit(1, 100)).await.unwrap();

    server.pause().unwrap();
    let error = store.commit(incarnation, &commit(2, 100)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    let error = store.confirm_incarnation(incarnation).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    server.resume().unwrap();
    wait_until_async("the same store again", WITHIN, async || store.commit(incarnation, &commit(2, 100)).await.ok())
        .await
        .unwrap();
    assert_eq!(store.incarnation(), incarnation, "a pause loses nothing");

    server.kill().unwrap();
    let lost =
        async || store.confirm_incarnation(incarnation).await.is_err_and(|error| error.kind == StoreErrorKind::Lost);
    wait_until_async("the loss", WITHIN, async || lost().await.then_some(())).await.unwrap();
    let error = store.commit(store.incarnation(), &commit(3, 100)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("no node"), "{error}");
    let down = store.incarnation();
    server.restart().unwrap();
    wait_until_async("the return", WITHIN, async || (store.incarnation() > down).then_some(())).await.unwrap();
    wait_until_async("a commit", WITHIN, async || store.commit(store.incarnation(), &commit(3, 100)).await.ok())
        .await
        .unwrap();
    assert_eq!(store.account_view(&all_rows(0)).await.unwrap().applied, Some(3));
    let error = store.commit(incarnation, &commit(4, 100)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Lost, "{error}");
}

const WITHIN: Duration = Duration::from_secs(60);

/// What a read leaves of a batch at a node that did not have it: the static columns, and the rows that were read. Seen on three
/// nodes; here they are copied from a keyspace that has the whole batch.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_batch_is_not_shown() {
    let server = Cassandra::shared().unwrap();
    let (whole, half) = (config(&server, "whole"), config(&server, "by_half"));
    for config in [&whole, &half] {
        apply_schema(config, &replication()).await.unwrap();
    }
    let of_whole = ScyllaStore::connect(whole).await.unwrap();
    of_whole.commit(of_whole.incarnation(), &commit(2, 100)).await.unwrap();
    let store = ScyllaStore::connect(half).await.unwrap();
    store.commit(store.incarnation(), &commit(1, 100)).await.unwrap();
    let session =
        ::scylla::client::session_builder::SessionBuilder::new().known_node(server.address()).build().await.unwrap();
    let owner = "tenant = 'acme' AND account = 'store-0'";
    let list = format!("SELECT owner_applied, owner_rows FROM whole.balance WHERE {owner} LIMIT 1");
    let list = session.query_unpaged(list, &[]).await.unwrap().into_rows_result().unwrap();
    let (applied, rows) = list.single_row::<(i64, Vec<u8>)>().unwrap();
    let stamp = (1_i64 << 43) + 2;
    let put = "INSERT INTO by_half.balance (tenant, account, owner_applied, owner_rows) VALUES ('acme', 'store-0', ?, ?) \
               USING TIMESTAMP ?";
    session.query_unpaged(put, (applied, rows, stamp)).await.unwrap();

    let error = store.account_view(&all_rows(0)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    let nothing = AccountRead { ranges: Vec::new(), ..all_rows(0) };
    assert_eq!(store.account_view(&nothing).await.unwrap().applied, Some(2), "rows that are not wanted do not matter");
    store.commit(store.incarnation(), &commit(2, 100)).await.unwrap();
    let view = store.account_view(&all_rows(0)).await.unwrap();
    assert!(view.rows.len() == 3 && view.rows.iter().all(|(_, row)| *row == balance(2)), "{view:?}");
}
