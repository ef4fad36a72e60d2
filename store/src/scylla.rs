//! The CQL store: ScyllaDB, or Cassandra 5, for many processes on many machines.
//!
//! A commit is written in steps, each acknowledged before the next begins; every statement is stamped with what it includes,
//! names all columns of its row, and may be sent again at any time. Nothing is deleted, and nothing is read in order to be
//! written: newer stamps win inside the servers.

mod batch_rows;
mod client;
mod config;
mod journal;
mod nodes;
mod read;
mod schema;
mod session;
mod statements;
mod trouble;
mod value;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use ledger::{Account, BusinessDate, Grain, Place, Tenant, WindowKey};
use protocol::{
    commit::{Commit, PartitionState},
    load::{LoadRequest, Loaded, RowsLoaded},
    log::LogMark,
    store_reading::page::Wanted,
};
use tokio_util::task::AbortOnDropHandle;

use self::{
    client::Client,
    config::ASK_EVERY,
    nodes::Nodes,
    statements::Statements,
    trouble::Trouble,
    write::{Lanes, Writer},
};
pub use self::{
    config::{ScyllaConfig, ScyllaConsistency},
    schema::{Replication, apply as apply_schema},
};
use crate::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store, StoreError};

/// The row of the generation table.
const GENERATION: &str = "saldo";
/// The epoch of a lane of which nothing is stored.
const FIRST_EPOCH: u8 = 1;

/// A cluster. To be used inside a tokio runtime.
pub struct ScyllaStore {
    connected: Arc<Connected>,
    /// Asks the nodes also when no worker does, so that readers hear of a loss.
    _watch: AbortOnDropHandle<()>,
}

struct Connected {
    config: ScyllaConfig,
    client: Client,
    statements: Statements,
    nodes: Nodes,
    lanes: Lanes,
}

impl ScyllaStore {
    /// Connects, and checks that the tables are those that this program needs.
    ///
    /// # Errors
    /// [`crate::StoreErrorKind::Unavailable`] while no node can be reached; [`crate::StoreErrorKind::Refused`] with one
    /// sentence when the configuration cannot be used, the user is not let in, or the schema is another.
    pub async fn connect(config: ScyllaConfig) -> Result<Self, StoreError> {
        let session = session::connect(&config).await?;
        schema::check(&session, &config).await?;
        let statements = Statements::prepare(&session, &config.keyspace).await?;
        let nodes = Nodes::new(&config);
        if !nodes.ask(&session).await {
            return Err(Trouble::TimedOut.error("a node does not tell its generation"));
        }
        let client = Client::new(session, &config);
        let connected = Arc::new(Connected { config, client, statements, nodes, lanes: Lanes::default() });
        let watch = AbortOnDropHandle::new(tokio::spawn(watch(Arc::clone(&connected))));
        Ok(Self { connected, _watch: watch })
    }

    /// For tests: lets writes fail, as if the process had died, when so many more have been acknowledged.
    #[doc(hidden)]
    pub fn fail_after_writes(&self, writes: usize) {
        self.connected.client.fail_after_writes(writes);
    }

    fn writer(&self, incarnation: u64, partition: u16, epoch: u8) -> Result<Writer<'_>, StoreError> {
        self.connected.nodes.check(incarnation)?;
        Ok(Writer { connected: &self.connected, incarnation, partition, epoch })
    }

    /// The epoch of a lane's rows: of its last commit here, or of what is stored.
    async fn epoch(&self, partition: u16) -> Result<u8, StoreError> {
        if let Some(epoch) = self.connected.lanes.epoch(partition) {
            return Ok(epoch);
        }
        let stored = self.connected.partition_state(partition).await?.progress;
        Ok(stored.map_or(FIRST_EPOCH, |progress| progress.identity.epoch))
    }
}

async fn watch(connected: Arc<Connected>) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        connected.nodes.ask(&connected.client.session).await;
    }
}

#[async_trait]
impl Store for ScyllaStore {
    fn commits_atomically(&self) -> bool {
        false
    }

    fn how_to_empty(&self) -> String {
        "give all aggregators and queries a new keyspace by SALDO_SCYLLA_KEYSPACE, make it by `saldo schema apply`"
            .to_owned()
    }

    fn checkpoint_lag_ms(&self) -> u64 {
        2 * self.connected.config.commit_log_period_ms
    }

    fn incarnation(&self) -> u64 {
        self.connected.nodes.incarnation()
    }

    async fn confirm_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        self.connected.nodes.confirm(&self.connected.client.session, incarnation).await
    }

    async fn open_generation(&self, fold_version: u32) -> Result<GenerationRecord, StoreError> {
        if let Some(record) = self.connected.generation(GENERATION).await? {
            return record.check_fold_version(fold_version).map_err(|error| error.with_remedy(&self.how_to_empty()));
        }
        let record = GenerationRecord::first(fold_version);
        let number = |number: u32| number.cast_signed();
        let high_waters = (i32::from(record.epoch_high_water), number(record.generation_high_water));
        let stamp = value::stamp(FIRST_EPOCH, u64::from(record.generation_high_water))?;
        let values = (GENERATION, number(record.generation), number(fold_version), high_waters.0, high_waters.1, stamp);
        self.connected.client.write(&self.connected.statements.put_generation, values).await?;
        // Somebody with other rules may have been here at the same moment: what is stored decides.
        let stored = self.connected.generation(GENERATION).await?.unwrap_or(record);
        stored.check_fold_version(fold_version).map_err(|error| error.with_remedy(&self.how_to_empty()))
    }

    async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        self.connected.partition_state(partition).await
    }

    async fn load(&self, incarnation: u64, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        self.connected.nodes.check(incarnation)?;
        let loaded = self.connected.load(partition, request).await?;
        // Rows read from a node that has lost some must not be taken for what they were: a row computed from them would be
        // wrong for ever.
        self.confirm_incarnation(incarnation).await?;
        Ok(loaded)
    }

    async fn commit(&self, incarnation: u64, commit: &Arc<Commit>) -> Result<(), StoreError> {
        let epoch = commit.progress.identity.epoch;
        let writer = self.writer(incarnation, commit.partition, epoch)?;
        self.connected.lanes.set_epoch(commit.partition, epoch);
        writer.commit(commit).await
    }

    async fn write_checkpoint(&self, incarnation: u64, partition: u16, checkpoint: LogMark) -> Result<(), StoreError> {
        let epoch = self.epoch(partition).await?;
        self.writer(incarnation, partition, epoch)?.checkpoint(checkpoint).await
    }

    async fn account_view(&self, read: &AccountRead) -> Result<AccountView, StoreError> {
        let (applied, rows) = self.connected.account_rows(&read.key, &read.ranges).await?;
        Ok(AccountView { applied, rows })
    }

    async fn launches(
        &self,
        window: &WindowKey,
        after: Option<Place>,
        upto: u64,
        limit: usize,
    ) -> Result<LaunchesPage, StoreError> {
        self.connected.launches_page(window, Wanted { after, upto, limit }).await
    }

    async fn accounts(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        self.connected.account_names(tenant, after, limit).await
    }

    async fn rollup_view(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &[(Grain, BusinessDate, BusinessDate)],
    ) -> Result<RowsLoaded<Tenant>, StoreError> {
        let (applied, rows) = self.connected.rollup_rows(tenant, partition, ranges).await?;
        Ok(RowsLoaded { owner: tenant.clone(), applied, rows })
    }
}
