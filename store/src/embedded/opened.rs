//! An opened database: its keyspaces, and the waits around its writes.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch,
    PersistMode,
};

use super::{
    config::{
        BACKGROUND_THREADS, EmbeddedConfig, LANE_LOCKS, LANES_WRITE_BUFFER_BYTES, MAX_JOURNAL_BYTES, MAX_OPEN_FILES,
        MAX_WAITING_BUFFERS, MAX_WAITING_RUNS, ROOM_PAUSE, ROOM_TIMEOUT, SEPARATE_FROM_BYTES, SMALL_WRITE_BUFFER_BYTES,
    },
    lane::Lane,
    recent::RecentOwners,
    sync_ahead::SyncAhead,
};

/// The names of all keyspaces.
const KEYSPACES: [&str; 7] = ["balances", "rollups", "accounts", "chunks", "lines", "partitions", "meta"];

/// One incarnation of the store.
pub(super) struct Opened {
    /// Which incarnation.
    pub incarnation: u64,
    pub database: Database,
    pub balances: Keyspace,
    pub rollups: Keyspace,
    pub accounts: Keyspace,
    pub chunks: Keyspace,
    pub lines: Keyspace,
    pub partitions: Keyspace,
    pub meta: Keyspace,
    /// Accounts' own rows, and those of tenants' lanes.
    pub recent: RecentOwners,
    pub recent_lanes: RecentOwners,
    write_buffer_bytes: u64,
    lanes: [Mutex<Lane>; LANE_LOCKS],
    turn: Mutex<()>,
    _sync_ahead: SyncAhead,
}

/// Why a write failed.
pub(super) enum WriteFailure {
    /// The background threads do not keep up; nothing was written.
    NoRoom,
    /// The database takes no more writes until it is reopened.
    Broken(fjall::Error),
}

impl Opened {
    /// Opens or makes the database at `path`.
    pub fn open(path: &Path, config: &EmbeddedConfig, incarnation: u64) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(config.cache_bytes)
            .max_journaling_size(MAX_JOURNAL_BYTES)
            .worker_threads(BACKGROUND_THREADS)
            .max_cached_files(Some(MAX_OPEN_FILES))
            .journal_compression(CompressionType::None)
            .open()?;
        check_whole(&database)?;
        let large = || KeyspaceCreateOptions::default().max_memtable_size(config.write_buffer_bytes);
        let small = || KeyspaceCreateOptions::default().max_memtable_size(SMALL_WRITE_BUFFER_BYTES);
        let lanes = || KeyspaceCreateOptions::default().max_memtable_size(LANES_WRITE_BUFFER_BYTES);
        let column = || large().with_kv_separation(Some(separation()));
        Ok(Self {
            incarnation,
            balances: database.keyspace("balances", large)?,
            rollups: database.keyspace("rollups", small)?,
            accounts: database.keyspace("accounts", small)?,
            chunks: database.keyspace("chunks", column)?,
            lines: database.keyspace("lines", column)?,
            partitions: database.keyspace("partitions", lanes)?,
            meta: database.keyspace("meta", small)?,
            recent: RecentOwners::default(),
            recent_lanes: RecentOwners::default(),
            database,
            write_buffer_bytes: config.write_buffer_bytes,
            lanes: [const { Mutex::new(Lane::new()) }; LANE_LOCKS],
            turn: Mutex::new(()),
            _sync_ahead: SyncAhead::start(path)?,
        })
    }

    /// Keeps other commits of this lane away: stamps are compared and written under it.
    pub fn lane(&self, partition: u16) -> MutexGuard<'_, Lane> {
        // A panic may have left its buffers half-filled, and they are emptied before use; rows are taken out while they change.
        self.lanes[usize::from(partition) % LANE_LOCKS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a batch as a whole, without waiting for the disk. One at a time: fjall does not write two at once either,
    /// and so the room that was found is still there.
    pub fn write(&self, batch: OwnedWriteBatch) -> Result<(), WriteFailure> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.wait_for_room()?;
        batch.commit().map_err(WriteFailure::Broken)?;
        self.seal_full_buffers()
    }

    /// fjall leaves that to its background threads, and they may be at a long flush: meanwhile a buffer would take in commit
    /// after commit. Here, full ones are sealed before the next commit, which waits while too many are.
    fn seal_full_buffers(&self) -> Result<(), WriteFailure> {
        for (keyspace, most_bytes) in self.buffers() {
            if keyspace.tree.active_memtable().size() > most_bytes {
                keyspace.rotate_memtable().map_err(WriteFailure::Broken)?;
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> Result<(), WriteFailure> {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        while !self.has_room() {
            // Answers at once whether a background thread has failed: then there will never be room.
            self.database.persist(PersistMode::Buffer).map_err(WriteFailure::Broken)?;
            if Instant::now() > deadline {
                return Err(WriteFailure::NoRoom);
            }
            std::thread::sleep(ROOM_PAUSE);
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.buffers().into_iter().all(|(keyspace, _)| {
            keyspace.tree.sealed_memtable_count() <= MAX_WAITING_BUFFERS
                && keyspace.tree.l0_run_count() <= MAX_WAITING_RUNS
        })
    }

    /// The keyspaces, and the bytes at which the write buffer of each is full.
    fn buffers(&self) -> [(&Keyspace, u64); 7] {
        let (large, small) = (self.write_buffer_bytes, SMALL_WRITE_BUFFER_BYTES);
        [
            (&self.balances, large),
            (&self.rollups, small),
            (&self.accounts, small),
            (&self.chunks, large),
            (&self.lines, large),
            (&self.partitions, LANES_WRITE_BUFFER_BYTES),
            (&self.meta, small),
        ]
    }
}

/// A database lacks a keyspace only where it is being made, and is empty. One that was taken away from a store with rows would be
/// made anew, and its rows be missing without a word.
fn check_whole(database: &Database) -> fjall::Result<()> {
    // Those that were found; the database's own register may name more.
    let found = database.list_keyspace_names();
    if found.len() == KEYSPACES.len() {
        return Ok(());
    }
    for name in found {
        if !database.keyspace(&name, KeyspaceCreateOptions::default)?.is_empty()? {
            return Err(fjall::Error::Unrecoverable);
        }
    }
    Ok(())
}

/// Digests are as good as random, and lines are compressed before they come here.
fn separation() -> KvSeparationOptions {
    KvSeparationOptions::default().compression(CompressionType::None).separation_threshold(SEPARATE_FROM_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fjall counts beside key and value, and more.
    const ITEM_BYTES: u64 = 128;
    const ITEMS: u64 = 1_000;

    #[test]
    fn a_write_buffer_is_sealed_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let write_buffer_bytes = 64 * 1024;
        let config = EmbeddedConfig { write_buffer_bytes, ..EmbeddedConfig::new(folder.path()) };
        let opened = Opened::open(folder.path(), &config, 1).unwrap();
        for commit in 0..50_u64 {
            let mut batch = opened.database.batch();
            for item in 0..ITEMS {
                batch.insert(&opened.balances, [commit.to_be_bytes(), item.to_be_bytes()].concat(), [0; 8]);
            }
            assert!(opened.write(batch).is_ok());
            let bytes = opened.balances.tree.active_memtable().size();
            assert!(bytes <= write_buffer_bytes, "commit {commit} left {bytes} bytes");
            let sealed = opened.balances.tree.sealed_memtable_count();
            assert!(sealed <= MAX_WAITING_BUFFERS + 1, "commit {commit} left {sealed} sealed buffers");
        }
        assert!(ITEMS * ITEM_BYTES > write_buffer_bytes, "every commit fills the buffer");
    }
}
