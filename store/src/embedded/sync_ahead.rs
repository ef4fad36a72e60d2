//! Syncs the database's journal ahead of its flushes.
//!
//! Before fjall writes a full buffer to a sorted file it syncs its journal under the lock that every commit takes. What seconds
//! of commits have left there takes tens of milliseconds, in which no balance becomes readable. So a thread syncs the same
//! file under no lock all the time, and finds little each time, as then fjall does.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, SystemTime},
};

/// A commit of each lane in every few milliseconds leaves about a megabyte in this time, which a disk writes in a few.
const PAUSE: Duration = Duration::from_millis(250);
/// How the names of fjall's journals end.
const EXTENSION: &str = "jnl";

/// A thread that ends with the value.
pub(super) struct SyncAhead {
    _ends_when_dropped: SyncSender<()>,
}

impl SyncAhead {
    /// For the database in `folder`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let (sender, ended) = sync_channel(0);
        let folder = folder.to_owned();
        thread::Builder::new().name("sync-ahead".to_owned()).spawn(move || sync_until(&ended, &folder))?;
        Ok(Self { _ends_when_dropped: sender })
    }
}

fn sync_until(ended: &Receiver<()>, folder: &Path) {
    let mut synced = None;
    while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        match sync(folder, synced) {
            Ok(written) => synced = written,
            // The database meets it, too, and tells whoever commits; and a journal may be removed at any time.
            Err(error) => tracing::debug!(%error, "the store's journal cannot be synced ahead"),
        }
    }
}

/// Syncs the journal written last, unless it was not written since `synced`. Returns when it was written.
fn sync(folder: &Path, synced: Option<SystemTime>) -> io::Result<Option<SystemTime>> {
    let Some((written, journal)) = written_last(folder)? else { return Ok(synced) };
    if synced != Some(written) {
        File::open(journal)?.sync_data()?;
    }
    Ok(Some(written))
}

fn written_last(folder: &Path) -> io::Result<Option<(SystemTime, PathBuf)>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            last = last.max(Some((entry.metadata()?.modified()?, path)));
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use fjall::{Database, KeyspaceCreateOptions};

    use super::*;

    #[test]
    fn the_journal_that_is_written_is_found_and_synced_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(sync(folder.path(), None).unwrap(), None, "there is none");
        let database = Database::builder(folder.path()).open().unwrap();
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        let before = sync(folder.path(), None).unwrap();
        assert!(before.is_some(), "fjall names its journals otherwise now");
        assert_eq!(sync(folder.path(), before).unwrap(), before);
        let deadline = SystemTime::now() + Duration::from_secs(10);
        while sync(folder.path(), before).unwrap() == before {
            assert!(SystemTime::now() < deadline, "what is written is elsewhere");
            rows.insert("key", "value").unwrap();
        }
    }

    #[test]
    fn the_newest_of_several_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (name, seconds) in [("9.jnl", 1), ("10.jnl", 3), ("2.jnl", 2), ("lock", 4)] {
            File::create(folder.path().join(name)).unwrap().set_modified(at(seconds)).unwrap();
        }
        assert_eq!(written_last(folder.path()).unwrap(), Some((at(3), folder.path().join("10.jnl"))));
    }

    #[test]
    fn the_thread_ends_with_its_value() {
        let (sender, ended) = sync_channel(0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let thread = thread::spawn(move || sync_until(&ended, &path));
        drop(SyncAhead { _ends_when_dropped: sender });
        thread.join().unwrap();
    }
}
