//! The rows of one owner, an account or a tenant's lane, each only if it is newer.

use std::mem;

use fjall::{Keyspace, Readable, UserKey, UserValue};
use ledger::{Balance, RowKey};

use super::Writer;
use crate::{
    StoreError,
    embedded::{keys, owner::Owner, recent::RecentOwners},
    encoding::{decode_stamp, encode_balance},
};

impl Writer<'_> {
    /// Own row, and other rows of the owner whose prefix is in `key`. Returns the own row as it is then stored.
    pub(super) fn owner(
        &mut self,
        keyspace: &Keyspace,
        recent: &RecentOwners,
        applied: u64,
        rows: &[(RowKey, Balance)],
    ) -> Result<(UserKey, UserValue), StoreError> {
        let (own_key, stored) = self.stored_owner(keyspace, recent)?;
        let mut owner = mem::take(&mut self.buffers.owner);
        match &stored {
            Some(stored) => owner.read(stored)?,
            None => owner.clear(),
        }
        owner.applied = owner.applied.max(applied);
        let far = if self.compare {
            let newer = owner.rows.newer(rows, |row| self.stored_stamp(keyspace, row))?;
            owner.rows.take(&newer)
        } else {
            owner.rows.take(rows)
        };
        for (row, balance) in far {
            self.row(keyspace, &row, &balance);
        }
        let value = self.own_value(&owner);
        self.buffers.owner = owner;
        if stored.as_ref() != Some(&value) {
            self.batch.insert(keyspace, own_key.clone(), value.clone());
        }
        Ok((own_key, value))
    }

    /// The key of the owner's own row, and what is stored under it.
    fn stored_owner(
        &mut self,
        keyspace: &Keyspace,
        recent: &RecentOwners,
    ) -> Result<(UserKey, Option<UserValue>), StoreError> {
        let key = &mut self.buffers.key;
        let prefix_bytes = key.len();
        keys::put_static_row(key);
        let known = recent.take(key);
        let own_key = known.as_ref().map_or_else(|| UserKey::from(key.as_slice()), |(own_key, _)| own_key.clone());
        key.truncate(prefix_bytes);
        let stored = match known {
            Some((_, stored)) => Some(stored),
            None => self.snapshot.get(keyspace, &own_key)?,
        };
        Ok((own_key, stored))
    }

    fn own_value(&mut self, owner: &Owner) -> UserValue {
        let value = &mut self.buffers.value;
        value.clear();
        owner.encode(value);
        UserValue::from(value.as_slice())
    }

    fn stored_stamp(&mut self, keyspace: &Keyspace, row: &RowKey) -> Result<Option<u64>, StoreError> {
        let stored = self.with_row_key(row, |writer| writer.snapshot.get(keyspace, &writer.buffers.key))?;
        Ok(stored.as_deref().map(decode_stamp).transpose()?)
    }

    fn row(&mut self, keyspace: &Keyspace, row: &RowKey, balance: &Balance) {
        self.buffers.value.clear();
        encode_balance(&mut self.buffers.value, balance);
        self.with_row_key(row, |writer| {
            writer.batch.insert(keyspace, writer.buffers.key.as_slice(), writer.buffers.value.as_slice());
        });
    }

    /// Acts while `key`, which holds an owner's prefix, is that of a row of it.
    fn with_row_key<T>(&mut self, row: &RowKey, act: impl FnOnce(&mut Self) -> T) -> T {
        let prefix_bytes = self.buffers.key.len();
        keys::put_row(&mut self.buffers.key, row);
        let outcome = act(self);
        self.buffers.key.truncate(prefix_bytes);
        outcome
    }
}
