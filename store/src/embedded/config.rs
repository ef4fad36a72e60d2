//! What an embedded store is opened with, and its bounds.

use std::{path::PathBuf, time::Duration};

const MIB: u64 = 1024 * 1024;

/// Where and how large. Memory: the cache, 16 MiB of owners' rows, plus at most two write buffers for each of the three large
/// keyspaces and for the lanes' own rows, each larger by one commit at most.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The folder that the store has for itself; made when it is missing.
    pub folder: PathBuf,
    /// Bytes of blocks kept in memory for reads.
    pub cache_bytes: u64,
    /// Bytes of a keyspace that are gathered in memory before they are written as a sorted file.
    pub write_buffer_bytes: u64,
    /// Pause between attempts to reopen a store that failed.
    pub reopen_pause: Duration,
}

impl EmbeddedConfig {
    /// The usual bounds: 272 MiB as the database counts them, and what one commit adds to the buffers, twice.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            write_buffer_bytes: DEFAULT_WRITE_BUFFER_BYTES,
            reopen_pause: DEFAULT_REOPEN_PAUSE,
        }
    }
}

/// Holds the index and filter blocks of some ten million rows, and the rows of the day.
const DEFAULT_CACHE_BYTES: u64 = 96 * MIB;
/// Large enough that a row rewritten by many commits is written to a sorted file once.
const DEFAULT_WRITE_BUFFER_BYTES: u64 = 24 * MIB;
/// A full disk stays full for a while; a worker asks again about as often.
const DEFAULT_REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// Owners' rows that are kept for the commits which replace them: of some thirty to fifty thousand owners with one currency.
pub(super) const RECENT_OWNERS_BYTES: usize = 16 * 1024 * 1024;
/// Write buffer of the keyspaces with few rows.
pub(super) const SMALL_WRITE_BUFFER_BYTES: u64 = 4 * MIB;
/// Write buffer of the lanes' own rows, of which there are few, each written anew by every commit. Every flush syncs the
/// database's journal while all commits wait; 4 MiB fill in four seconds at 5,000 launches a second.
pub(super) const LANES_WRITE_BUFFER_BYTES: u64 = 16 * MIB;
/// Bytes of write-ahead journals on disk. A start reads them: more makes it slow, less makes small sorted files.
pub(super) const MAX_JOURNAL_BYTES: u64 = 256 * MIB;
/// Threads for flushing and compaction: one can always flush while the other compacts.
pub(super) const BACKGROUND_THREADS: usize = 2;
/// Open files. A process has 1,024 by default, and needs most of them for sockets.
pub(super) const MAX_OPEN_FILES: usize = 256;
/// A chunk column from this size on is kept outside of the sorted files, so that compaction does not copy it.
pub(super) const SEPARATE_FROM_BYTES: u32 = 1024;
/// A chunk of at most so many bytes, about three launches, is one row with its lines. A worker that loads a window reads past
/// them, so they must not be many; and it stays below what is kept outside.
pub(super) const MOST_BYTES_OF_ONE_ROW: usize = 768;
/// Readers at once: more threads than disks and cores can serve only wait for each other.
pub(super) const READS_AT_ONCE: usize = 16;
/// Loads and commits at once: one for each lane of a large installation.
pub(super) const WRITES_AT_ONCE: usize = 32;
/// No call takes longer, whatever the disk does; the work itself may go on, and is idempotent.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a reopening waits for the calls that are on the old incarnation: most reads take far less, and whoever asks
/// meanwhile is told to come again.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks at that.
pub(super) const CLOSE_PAUSE: Duration = Duration::from_millis(2);
/// How long a commit waits for the background threads to make room in memory.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two looks at that.
pub(super) const ROOM_PAUSE: Duration = Duration::from_millis(2);
/// Full write buffers that may wait to be flushed when a commit begins; the commit can fill one more. fjall itself waits
/// without end from four on, also when its flushing thread is dead: it never gets there.
pub(super) const MAX_WAITING_BUFFERS: usize = 1;
/// Sorted runs not yet compacted when a commit begins; fjall itself waits without end from thirty on.
pub(super) const MAX_WAITING_RUNS: usize = 18;
/// What must be writable before a store that failed is closed and reopened; until then it answers reads.
pub(super) const PROBE_BYTES: usize = 4 * 1024 * 1024;
/// Locks that keep two commits of one lane apart.
pub(super) const LANE_LOCKS: usize = 64;
