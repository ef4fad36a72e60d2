//! Reads: each call sees one moment, for a plain read can see half a batch.

use fjall::{Keyspace, Readable, Snapshot};
use ledger::{Account, Balance, BusinessDate, Grain, RowKey, Tenant};
use protocol::{
    commit::{PartitionState, Progress},
    load::{LoadRequest, Loaded, RowsLoaded, RowsWanted},
    log::LogMark,
    store_reading::near::NearRules,
};

use super::{
    journal,
    keys::{self, PartitionRow},
    lane::PartitionRows,
    opened::Opened,
    owner::{Owner, StoredRows},
    value::from_json,
};
use crate::{AccountRead, AccountView, StoreError, encoding::Damaged};

/// Inclusive ranges of row starts by grain.
pub(super) type Ranges = [(Grain, BusinessDate, BusinessDate)];

/// What is stored of a partition.
pub(super) fn partition_state(opened: &Opened, partition: u16) -> Result<PartitionState, StoreError> {
    let snapshot = opened.database.snapshot();
    Ok(PartitionState {
        head: mark(opened, &snapshot, partition, PartitionRow::Head)?,
        progress: progress(opened, &snapshot, partition)?,
        checkpoint: mark(opened, &snapshot, partition, PartitionRow::Checkpoint)?,
    })
}

/// Head or checkpoint; before the first message when there is none.
pub(super) fn mark(
    opened: &Opened,
    snapshot: &Snapshot,
    partition: u16,
    row: PartitionRow,
) -> Result<LogMark, StoreError> {
    let stored = snapshot.get(&opened.partitions, keys::partition(partition, row))?;
    stored.map_or(Ok(LogMark::default()), |stored| from_json(&stored))
}

/// What readers may claim.
fn progress(opened: &Opened, snapshot: &Snapshot, partition: u16) -> Result<Option<Progress>, StoreError> {
    let stored = snapshot.get(&opened.partitions, keys::partition(partition, PartitionRow::Progress))?;
    stored.map(|stored| from_json(&stored)).transpose()
}

/// How far all of a partition's rows are.
pub(super) fn partition_rows(
    opened: &Opened,
    snapshot: &Snapshot,
    partition: u16,
) -> Result<PartitionRows, StoreError> {
    Ok(PartitionRows {
        head: mark(opened, snapshot, partition, PartitionRow::Head)?.sequence,
        progress: progress(opened, snapshot, partition)?.map(|progress| progress.sequence),
        checkpoint: mark(opened, snapshot, partition, PartitionRow::Checkpoint)?.sequence,
        highest: highest(opened, snapshot, partition)?,
    })
}

/// The largest stamp that the lane has written.
fn highest(opened: &Opened, snapshot: &Snapshot, partition: u16) -> Result<u64, StoreError> {
    let stored = snapshot.get(&opened.partitions, keys::partition(partition, PartitionRow::Highest))?;
    let decode = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| Damaged { what: "highest stamp" });
    Ok(stored.as_deref().map_or(Ok(0), decode)?)
}

/// Rows and journals for a worker.
pub(super) fn load(opened: &Opened, partition: u16, request: &LoadRequest) -> Result<Loaded, StoreError> {
    let snapshot = opened.database.snapshot();
    let mut key = Vec::new();
    let mut loaded = Loaded::default();
    for wanted in &request.accounts {
        keys::account_prefix(&mut key, &wanted.owner);
        loaded.accounts.push(wanted_rows(&snapshot, &opened.balances, &mut key, wanted)?);
    }
    for wanted in &request.tenants {
        keys::lane_prefix(&mut key, &wanted.owner, partition);
        loaded.tenants.push(wanted_rows(&snapshot, &opened.rollups, &mut key, wanted)?);
    }
    for window in &request.windows {
        loaded.windows.push(journal::load(opened, &snapshot, window)?);
    }
    Ok(loaded)
}

fn wanted_rows<Name: Clone>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    key: &mut Vec<u8>,
    wanted: &RowsWanted<Name>,
) -> Result<RowsLoaded<Name>, StoreError> {
    let owner = wanted.owner.clone();
    let Some(stored) = stored_owner(snapshot, keyspace, key)? else {
        return Ok(RowsLoaded { owner, applied: None, rows: Vec::new() });
    };
    let days = wanted.days.iter().map(|start| (Grain::Day, *start));
    let months = wanted.months.iter().map(|start| (Grain::Month, *start));
    let lifetime = wanted.lifetime.then_some((Grain::Lifetime, BusinessDate::MIN));
    let mut rows = Vec::new();
    let mut far = StoredRows { snapshot, keyspace, key };
    for start in days.chain(months).chain(lifetime) {
        stored.rows.of_start(start, &mut far, &mut rows)?;
    }
    Ok(RowsLoaded { owner, applied: Some(stored.applied), rows })
}

fn stored_owner(snapshot: &Snapshot, keyspace: &Keyspace, prefix: &[u8]) -> Result<Option<Owner>, StoreError> {
    let stored = snapshot.get(keyspace, keys::static_row(prefix))?;
    Ok(stored.as_deref().map(Owner::decode).transpose()?)
}

/// Rows of an account.
pub(super) fn account_view(opened: &Opened, read: &AccountRead) -> Result<AccountView, StoreError> {
    let mut key = Vec::new();
    keys::account_prefix(&mut key, &read.key);
    let (applied, rows) = owner_view(&opened.database.snapshot(), &opened.balances, &mut key, &read.ranges)?;
    Ok(AccountView { applied, rows })
}

/// Rows of a tenant's lane.
pub(super) fn rollup_view(
    opened: &Opened,
    tenant: Tenant,
    partition: u16,
    ranges: &Ranges,
) -> Result<RowsLoaded<Tenant>, StoreError> {
    let mut key = Vec::new();
    keys::lane_prefix(&mut key, &tenant, partition);
    let (applied, rows) = owner_view(&opened.database.snapshot(), &opened.rollups, &mut key, ranges)?;
    Ok(RowsLoaded { owner: tenant, applied, rows })
}

type View = (Option<u64>, Vec<(RowKey, Balance)>);

fn owner_view(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    key: &mut Vec<u8>,
    ranges: &Ranges,
) -> Result<View, StoreError> {
    let Some(owner) = stored_owner(snapshot, keyspace, key)? else { return Ok((None, Vec::new())) };
    let rows = owner.rows.view(ranges, &mut StoredRows { snapshot, keyspace, key }, NearRules::ALL)?;
    Ok((Some(owner.applied), rows))
}

/// A page of a tenant's accounts.
pub(super) fn accounts(
    opened: &Opened,
    tenant: &Tenant,
    after: Option<&Account>,
    limit: usize,
) -> Result<Vec<Account>, StoreError> {
    let mut prefix = Vec::new();
    keys::tenant_prefix(&mut prefix, tenant);
    let mut start = prefix.clone();
    if let Some(after) = after {
        start.extend_from_slice(after.as_str().as_bytes());
        // The next possible key: names hold no zero byte.
        start.push(0);
    }
    let mut accounts = Vec::new();
    for item in opened.database.snapshot().range(&opened.accounts, start..).take(limit) {
        let key = item.key()?;
        if !key.starts_with(&prefix) {
            break;
        }
        accounts.push(keys::decode_account_name(&key, prefix.len())?);
    }
    Ok(accounts)
}
