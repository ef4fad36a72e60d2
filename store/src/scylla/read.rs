//! Reads of rows: for a worker row by row, for readers of one moment.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use ledger::{Account, AccountKey, Balance, BusinessDate, Digest, Grain, RowKey, Tenant};
use protocol::{
    commit::{PartitionState, Progress},
    load::{LoadRequest, Loaded, RowsLoaded, RowsWanted},
    log::{LogIdentity, LogMark},
    store_reading::{
        Ranges,
        moment::{self, MomentRules, RowRanges, StampedRow, View},
    },
};
use scylla::{
    response::query_result::QueryRowsResult,
    serialize::value::SerializeValue,
    statement::prepared::PreparedStatement,
    value::{CqlDate, CqlVarint},
};

use super::{
    Connected,
    batch_rows::BatchRows,
    config::{ACCOUNT_BUCKETS, MOMENT_ATTEMPTS, MOMENT_PAUSES_MS, STARTS_AT_ONCE},
    statements::OwnerStatements,
    trouble::unreadable,
    value::{BalanceColumns, balance, date, grain, row_key},
};
use crate::{GenerationRecord, StoreError, StoreErrorKind, encoding::Damaged};

impl Connected {
    /// What is stored of a lane. The head is read last: it is written first, so that it is above what was read before.
    pub(super) async fn partition_state(&self, partition: u16) -> Result<PartitionState, StoreError> {
        let statements = &self.statements;
        let (checkpoint, progress) =
            futures_util::try_join!(self.mark(&statements.checkpoint, partition), self.progress(partition))?;
        let head = self.mark(&statements.head, partition).await?;
        Ok(PartitionState { head, progress, checkpoint })
    }

    async fn mark(&self, statement: &PreparedStatement, partition: u16) -> Result<LogMark, StoreError> {
        let row = self.first::<(i64, Vec<u8>)>(statement, (i32::from(partition),)).await?;
        let Some((sequence, digest)) = row else { return Ok(LogMark::default()) };
        let digest = digest.try_into().map_err(|_| Damaged { what: "mark" })?;
        Ok(LogMark { sequence: sequence.cast_unsigned(), digest: Digest(digest) })
    }

    async fn progress(&self, partition: u16) -> Result<Option<Progress>, StoreError> {
        type Columns = (i64, i64, i32, String, i32);
        let row = self.first::<Columns>(&self.statements.progress, (i32::from(partition),)).await?;
        let Some((sequence, time_ms, epoch, stream_id, partitions)) = row else { return Ok(None) };
        let damaged = Damaged { what: "progress" };
        let epoch = u8::try_from(epoch).map_err(|_| damaged)?;
        let partitions = u16::try_from(partitions).map_err(|_| damaged)?;
        self.lanes.set_epoch(partition, epoch);
        let identity = LogIdentity { epoch, stream_id: stream_id.into(), partitions };
        Ok(Some(Progress { sequence: sequence.cast_unsigned(), time_ms, identity }))
    }

    pub(super) async fn generation(&self, name: &str) -> Result<Option<GenerationRecord>, StoreError> {
        let row = self.first::<(i32, i32, i32, i32)>(&self.statements.generation, (name,)).await?;
        let Some((generation, fold_version, epoch_high_water, generation_high_water)) = row else { return Ok(None) };
        let epoch_high_water = u8::try_from(epoch_high_water).map_err(|_| Damaged { what: "generation" })?;
        let number = |number: i32| number.cast_unsigned();
        Ok(Some(GenerationRecord {
            generation: number(generation),
            fold_version: number(fold_version),
            epoch_high_water,
            generation_high_water: number(generation_high_water),
        }))
    }

    /// The first row of an answer.
    async fn first<Columns>(
        &self,
        statement: &PreparedStatement,
        values: impl scylla::serialize::row::SerializeRow,
    ) -> Result<Option<Columns>, StoreError>
    where
        Columns: for<'a> scylla::deserialize::row::DeserializeRow<'a, 'a>,
    {
        let mut first = None;
        let keep = |rows: &QueryRowsResult| {
            first = rows.maybe_first_row::<Columns>().map_err(unreadable)?;
            // A server may send a page without rows in front of one that has some.
            Ok(first.is_none())
        };
        self.client.read(statement, values, keep).await?;
        Ok(first)
    }

    /// Rows and journals for the worker of `partition`: rows first.
    pub(super) async fn load(&self, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
        let LoadRequest { accounts, tenants, windows } = request;
        let account = |index: usize| {
            let wanted = &accounts[index];
            let AccountKey { tenant, account } = &wanted.owner;
            self.wanted_rows(&self.statements.balance, tenant, account.as_str(), wanted)
        };
        let tenant = |index: usize| {
            let wanted = &tenants[index];
            self.wanted_rows(&self.statements.rollup, &wanted.owner, i32::from(partition), wanted)
        };
        let rows = (self.each(accounts.len(), account), self.each(tenants.len(), tenant));
        let (accounts, tenants) = futures_util::try_join!(rows.0, rows.1)?;
        let windows = self.each(windows.len(), |index| self.load_window(&windows[index])).await?;
        Ok(Loaded { accounts, tenants, windows })
    }

    /// All answers, in order; as many are asked for at once as may be on their way.
    async fn each<T, Read>(&self, count: usize, read: impl Fn(usize) -> Read) -> Result<Vec<T>, StoreError>
    where
        Read: Future<Output = Result<T, StoreError>>,
    {
        stream::iter(0..count).map(read).buffered(self.config.reads_in_flight).try_collect().await
    }

    async fn wanted_rows<Name: Clone>(
        &self,
        statements: &OwnerStatements,
        tenant: &Tenant,
        second: impl SerializeValue + Copy,
        wanted: &RowsWanted<Name>,
    ) -> Result<RowsLoaded<Name>, StoreError> {
        let days = wanted.days.iter().map(|start| (Grain::Day, *start));
        let months = wanted.months.iter().map(|start| (Grain::Month, *start));
        let lifetime = wanted.lifetime.then_some((Grain::Lifetime, BusinessDate::MIN));
        let starts: Vec<_> = days.chain(months).chain(lifetime).map(|(of, start)| (grain(of), date(start))).collect();
        let mut rows: Vec<StampedRow> = Vec::new();
        for part in starts.chunks(STARTS_AT_ONCE) {
            let values = (tenant.as_str(), second, part);
            self.client.read(&statements.starts, values, |page| take_rows(page, &mut rows)).await?;
        }
        let mut applied = rows.iter().filter_map(|(_, _, applied)| *applied).max();
        if applied.is_none() {
            applied = self.applied(statements, tenant, second).await?;
        }
        let mut rows: Vec<_> = rows.into_iter().map(|(key, balance, _)| (key, balance)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        Ok(RowsLoaded { owner: wanted.owner.clone(), applied, rows })
    }

    /// The static `applied` of an owner; `None` where it has no rows.
    async fn applied(
        &self,
        statements: &OwnerStatements,
        tenant: &Tenant,
        second: impl SerializeValue,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.batch(statements, tenant, second).await?.map(|(applied, _)| applied))
    }

    /// The same with the rows of the owner's last batch.
    async fn batch(
        &self,
        statements: &OwnerStatements,
        tenant: &Tenant,
        second: impl SerializeValue,
    ) -> Result<Option<(u64, BatchRows)>, StoreError> {
        type Columns = (Option<i64>, Option<Vec<u8>>);
        let row = self.first::<Columns>(&statements.applied, (tenant.as_str(), second)).await?;
        let Some((Some(applied), rows)) = row else { return Ok(None) };
        let applied = applied.cast_unsigned();
        // Batches of a program before this column named none.
        let rows = rows.map_or_else(|| Ok(BatchRows::none(applied)), |rows| BatchRows::decode(&rows))?;
        Ok(Some((applied, rows)))
    }

    /// An account's rows.
    pub(super) async fn account_rows(&self, key: &AccountKey, ranges: &Ranges) -> Result<View, StoreError> {
        self.view(&self.statements.balance, &key.tenant, key.account.as_str(), ranges).await
    }

    /// The rows of a tenant's lane.
    pub(super) async fn rollup_rows(
        &self,
        tenant: &Tenant,
        partition: u16,
        ranges: &Ranges,
    ) -> Result<View, StoreError> {
        self.view(&self.statements.rollup, tenant, i32::from(partition), ranges).await
    }

    async fn view(
        &self,
        statements: &OwnerStatements,
        tenant: &Tenant,
        second: impl SerializeValue + Copy + Send + Sync,
        ranges: &Ranges,
    ) -> Result<View, StoreError> {
        let rows = OfOwner { connected: self, statements, tenant, second };
        let view = moment::view(&rows, ranges, MomentRules::new(MOMENT_ATTEMPTS)).await?;
        view.ok_or_else(|| {
            let message = "these rows change faster than they can be read; a retry helps";
            StoreError::new(StoreErrorKind::Unavailable, message)
        })
    }

    async fn range(
        &self,
        statements: &OwnerStatements,
        tenant: &Tenant,
        second: impl SerializeValue,
        (of, from, to): (Grain, BusinessDate, BusinessDate),
    ) -> Result<Vec<StampedRow>, StoreError> {
        let mut rows = Vec::new();
        if from <= to {
            let values = (tenant.as_str(), second, grain(of), date(from), date(to));
            self.client.read(&statements.range, values, |page| take_rows(page, &mut rows)).await?;
        }
        Ok(rows)
    }

    /// A page of a tenant's accounts, out of all buckets.
    pub(super) async fn account_names(
        &self,
        tenant: &Tenant,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let read = |bucket: usize| self.bucket_names(tenant, bucket, after, limit);
        let mut names: Vec<Account> = self.each(ACCOUNT_BUCKETS.into(), read).await?.into_iter().flatten().collect();
        names.sort_unstable();
        names.truncate(limit);
        Ok(names)
    }

    async fn bucket_names(
        &self,
        tenant: &Tenant,
        bucket: usize,
        after: Option<&Account>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let mut names = Vec::new();
        let bucket = i32::try_from(bucket).unwrap_or(i32::MAX);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (tenant.as_str(), bucket, after.map_or("", Account::as_str), limit);
        let keep = |page: &QueryRowsResult| {
            for row in page.rows::<(&str,)>().map_err(unreadable)? {
                let (name,) = row.map_err(unreadable)?;
                names.push(Account::parse(name).map_err(|_| Damaged { what: "account's name" })?);
            }
            Ok(true)
        };
        self.client.read(&self.statements.accounts, values, keep).await?;
        Ok(names)
    }
}

/// The rows of an account, or of a tenant's lane, range by range.
struct OfOwner<'a, Second> {
    connected: &'a Connected,
    statements: &'a OwnerStatements,
    tenant: &'a Tenant,
    second: Second,
}

impl<Second: SerializeValue + Copy + Send + Sync> RowRanges for OfOwner<'_, Second> {
    type Error = StoreError;
    type Batch = BatchRows;

    async fn batch(&self) -> Result<Option<(u64, BatchRows)>, StoreError> {
        self.connected.batch(self.statements, self.tenant, self.second).await
    }

    fn is_whole(&self, applied: u64, batch: &BatchRows, ranges: &Ranges, found: &[(RowKey, Balance)]) -> bool {
        batch.is_of(applied) && batch.is_whole(ranges, found)
    }

    async fn pause(&self, attempt: usize) {
        let (first_ms, longest_ms) = MOMENT_PAUSES_MS;
        let pause_ms =
            u32::try_from(attempt).ok().and_then(|attempt| first_ms.checked_shl(attempt)).unwrap_or(longest_ms);
        tokio::time::sleep(Duration::from_millis(pause_ms.clamp(first_ms, longest_ms))).await;
    }

    async fn rows(&self, ranges: &Ranges) -> Result<Vec<Vec<StampedRow>>, StoreError> {
        let range = |index: usize| self.connected.range(self.statements, self.tenant, self.second, ranges[index]);
        self.connected.each(ranges.len(), range).await
    }
}

fn take_rows(page: &QueryRowsResult, rows: &mut Vec<StampedRow>) -> Result<bool, StoreError> {
    type Columns<'a> = (&'a str, CqlDate, &'a str, CqlVarint, CqlVarint, i64, i64, i64, i32, i64, Option<i64>);
    for row in page.rows::<Columns<'_>>().map_err(unreadable)? {
        let (grain, start, currency, credits, debits, credit_count, debit_count, sequence, line, applied, owner) =
            row.map_err(unreadable)?;
        let columns: BalanceColumns = (credits, debits, credit_count, debit_count, sequence, line, applied);
        rows.push((row_key(grain, start, currency)?, balance(&columns)?, owner.map(i64::cast_unsigned)));
    }
    Ok(true)
}
