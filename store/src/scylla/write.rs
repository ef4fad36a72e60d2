//! A commit, step by step: each is acknowledged before the next begins, inside a step all is written at once.
//!
//! | step | what | stamp |
//! |---|---|---|
//! | head | up to where rows may exist: waited for unless an earlier commit wrote it, then beside the next step | its sequence |
//! | journal, accounts | new launches, names of accounts | the commit's |
//! | balances | an unlogged batch of one partition for each account: its rows and their static `applied` | the commit's |
//! | roll-ups | the same for each tenant's lane | the commit's |
//! | progress | what readers may claim | the commit's |
//! | checkpoint | only by [`Writer::checkpoint`] | its sequence |

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use ledger::{AccountKey, Balance, Digest, RowKey, Tenant};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, Progress, RollupBatch},
    log::LogMark,
};
use scylla::{
    serialize::{
        SerializationError,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};

use super::{
    Connected, batch_rows,
    config::ACCOUNT_BUCKETS,
    statements::OwnerStatements,
    value::{bigint, date, grain, int, stamp, varint},
};
use crate::{
    StoreError,
    encoding::{encode_digests, encode_lines},
};

/// What is known of each lane's writes.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<u16, Lane>>);

#[derive(Clone, Copy, Default)]
struct Lane {
    /// Of the log that the lane's rows come from.
    epoch: u8,
    /// The head that is acknowledged, and in which incarnation of the store.
    head: Option<(u64, u64)>,
}

impl Lanes {
    fn lanes(&self) -> MutexGuard<'_, HashMap<u16, Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of a lane, once it was seen.
    pub(super) fn epoch(&self, lane: u16) -> Option<u8> {
        self.lanes().get(&lane).map(|lane| lane.epoch)
    }

    pub(super) fn set_epoch(&self, lane: u16, epoch: u8) {
        self.lanes().entry(lane).or_default().epoch = epoch;
    }

    fn covers(&self, lane: u16, incarnation: u64, sequence: u64) -> bool {
        let head = self.lanes().get(&lane).and_then(|lane| lane.head);
        head.is_some_and(|(known_in, head)| known_in == incarnation && head >= sequence)
    }

    fn set_head(&self, lane: u16, incarnation: u64, sequence: u64) {
        self.lanes().entry(lane).or_default().head = Some((incarnation, sequence));
    }
}

/// Writes for one worker.
pub(super) struct Writer<'a> {
    pub(super) connected: &'a Connected,
    pub(super) incarnation: u64,
    pub(super) partition: u16,
    pub(super) epoch: u8,
}

impl Writer<'_> {
    /// Writes a commit.
    pub(super) async fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let sequence = commit.progress.sequence;
        let stamp = stamp(self.epoch, sequence)?;
        if self.connected.lanes.covers(self.partition, self.incarnation, sequence) {
            futures_util::try_join!(self.head(commit.head), self.launches(commit, stamp))?;
        } else {
            self.head(commit.head).await?;
            self.launches(commit, stamp).await?;
        }
        self.check()?;
        self.balances(&commit.balances, stamp).await?;
        self.check()?;
        self.rollups(&commit.rollups, stamp).await?;
        // Nothing is claimed of a store that may have lost some of it.
        self.check()?;
        self.progress(&commit.progress, stamp).await?;
        self.check()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.connected.nodes.check(self.incarnation)
    }

    async fn head(&self, head: LogMark) -> Result<(), StoreError> {
        if self.connected.lanes.covers(self.partition, self.incarnation, head.sequence) {
            return Ok(());
        }
        self.mark(&self.connected.statements.put_head, head).await?;
        self.connected.lanes.set_head(self.partition, self.incarnation, head.sequence);
        Ok(())
    }

    /// Moves the checkpoint.
    pub(super) async fn checkpoint(&self, checkpoint: LogMark) -> Result<(), StoreError> {
        self.mark(&self.connected.statements.put_checkpoint, checkpoint).await?;
        self.check()
    }

    async fn mark(&self, statement: &PreparedStatement, mark: LogMark) -> Result<(), StoreError> {
        let Digest(digest) = mark.digest;
        let values =
            (i32::from(self.partition), bigint(mark.sequence), digest.as_slice(), stamp(self.epoch, mark.sequence)?);
        self.connected.client.write(statement, values).await
    }

    async fn launches(&self, commit: &Commit, stamp: i64) -> Result<(), StoreError> {
        let Commit { journal, accounts, .. } = commit;
        let chunks = self.all(journal.len(), |index| self.chunk(&journal[index], stamp));
        let accounts = self.all(accounts.len(), |index| self.account(&accounts[index], stamp));
        futures_util::try_join!(chunks, accounts).map(drop)
    }

    async fn chunk(&self, chunk: &JournalChunk, stamp: i64) -> Result<(), StoreError> {
        let (window, first, last) = (&chunk.window, chunk.first(), chunk.last());
        let values = (
            window.tenant.as_str(),
            window.account.as_str(),
            date(window.date),
            int(chunk.bucket),
            bigint(first.sequence),
            int(first.line),
            bigint(last.sequence),
            int(last.line),
            encode_digests(&chunk.facts),
            encode_lines(&chunk.facts),
            stamp,
        );
        self.connected.client.write(&self.connected.statements.put_chunk, values).await
    }

    async fn account(&self, account: &AccountKey, stamp: i64) -> Result<(), StoreError> {
        let (tenant, name) = (account.tenant.as_str(), account.account.as_str());
        let values = (tenant, account_bucket(name), name, stamp);
        self.connected.client.write(&self.connected.statements.put_account, values).await
    }

    async fn balances(&self, batches: &[AccountBatch], stamp: i64) -> Result<(), StoreError> {
        let statements = &self.connected.statements.balance;
        let write = |index: usize| {
            let AccountBatch { key, applied, rows } = &batches[index];
            let owner = Owner { tenant: &key.tenant, second: Second::Account(key.account.as_str()) };
            self.owner(statements, owner, *applied, rows, stamp)
        };
        self.all(batches.len(), write).await
    }

    async fn rollups(&self, batches: &[RollupBatch], stamp: i64) -> Result<(), StoreError> {
        let statements = &self.connected.statements.rollup;
        let write = |index: usize| {
            let RollupBatch { tenant, applied, rows } = &batches[index];
            let owner = Owner { tenant, second: Second::Lane(i32::from(self.partition)) };
            self.owner(statements, owner, *applied, rows, stamp)
        };
        self.all(batches.len(), write).await
    }

    /// The rows of one owner, and what they include, as a batch of one partition: seen as a whole or not at all.
    async fn owner(
        &self,
        statements: &OwnerStatements,
        owner: Owner<'_>,
        applied: u64,
        rows: &[(RowKey, Balance)],
        stamp: i64,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        batch.append_statement(statements.put_applied.clone());
        let mut values = Vec::with_capacity(rows.len() + 1);
        values.push(OwnerValues {
            owner,
            stamp,
            put: Put::Applied(bigint(applied), batch_rows::encode(applied, rows)),
        });
        for (key, balance) in rows {
            batch.append_statement(statements.put_row.clone());
            values.push(OwnerValues { owner, stamp, put: Put::Row(key, balance) });
        }
        self.connected.client.write_batch(&batch, values).await
    }

    async fn progress(&self, progress: &Progress, stamp: i64) -> Result<(), StoreError> {
        let Progress { sequence, time_ms, identity } = progress;
        let (epoch, partitions) = (i32::from(identity.epoch), i32::from(identity.partitions));
        let lane = i32::from(self.partition);
        let values = (lane, bigint(*sequence), *time_ms, epoch, identity.stream_id.as_str(), partitions, stamp);
        self.connected.client.write(&self.connected.statements.put_progress, values).await
    }

    /// Ends when all have, or one has failed. As many are begun at once as may be on their way.
    async fn all<Write>(&self, count: usize, write: impl Fn(usize) -> Write) -> Result<(), StoreError>
    where
        Write: Future<Output = Result<(), StoreError>>,
    {
        let at_once = self.connected.config.writes_in_flight;
        stream::iter(0..count).map(write).buffer_unordered(at_once).try_collect().await
    }
}

/// The bucket of an account's name.
pub(super) fn account_bucket(account: &str) -> i32 {
    i32::from(Digest::of(account.as_bytes()).0[0] % ACCOUNT_BUCKETS)
}

/// The partition of an owner's rows.
#[derive(Clone, Copy)]
struct Owner<'a> {
    tenant: &'a Tenant,
    second: Second<'a>,
}

#[derive(Clone, Copy)]
enum Second<'a> {
    Account(&'a str),
    Lane(i32),
}

/// Values of one statement of an owner's batch.
struct OwnerValues<'a> {
    owner: Owner<'a>,
    stamp: i64,
    put: Put<'a>,
}

enum Put<'a> {
    Applied(i64, Vec<u8>),
    Row(&'a RowKey, &'a Balance),
}

impl SerializeRow for OwnerValues<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self.owner.second {
            Second::Account(account) => self.serialize_behind(account, context, writer),
            Second::Lane(lane) => self.serialize_behind(lane, context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl OwnerValues<'_> {
    fn serialize_behind(
        &self,
        second: impl scylla::serialize::value::SerializeValue,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let tenant = self.owner.tenant.as_str();
        match &self.put {
            Put::Applied(applied, rows) => (tenant, second, applied, rows, self.stamp).serialize(context, writer),
            Put::Row(key, Balance { totals, changed, applied }) => (
                tenant,
                second,
                grain(key.grain),
                date(key.start),
                key.currency.code(),
                varint(totals.credits),
                varint(totals.debits),
                bigint(totals.credit_count),
                bigint(totals.debit_count),
                bigint(changed.sequence),
                int(changed.line),
                bigint(*applied),
                self.stamp,
            )
                .serialize(context, writer),
        }
    }
}
