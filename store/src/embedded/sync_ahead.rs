//! Syncs the database's journal ahead of its flushes.
//!
//! Before fjall writes a full buffer to a sorted file it syncs its journal under the lock that every commit takes. What seconds
//! of commits have left there takes tens of milliseconds, in which no balance becomes readable. So a thread syncs the same
//! file all the time under none of the database's locks, and finds little each time, as then fjall does. Nothing rests on it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

/// A commit of each lane in every few milliseconds leaves about a megabyte in this time, which a disk writes in a few.
const PAUSE: Duration = Duration::from_millis(250);
/// How the names of fjall's journals end; before it is a number, the largest of which is written to.
const EXTENSION: &str = "jnl";

/// A thread that ends soon after its value is dropped.
pub(super) struct SyncAhead {
    _ends_when_dropped: SyncSender<()>,
    _thread: JoinHandle<()>,
}

impl SyncAhead {
    /// For the database in `folder`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let (sender, ended) = sync_channel(0);
        let mut ahead = Ahead { folder: folder.to_owned(), synced: None };
        let work = move || ahead.sync_until(&ended);
        let thread = thread::Builder::new().name("sync-ahead".to_owned()).spawn(work)?;
        Ok(Self { _ends_when_dropped: sender, _thread: thread })
    }
}

/// A journal by its number, and when it was last written.
type Written = (u64, SystemTime);

struct Ahead {
    folder: PathBuf,
    synced: Option<Written>,
}

impl Ahead {
    fn sync_until(&mut self, ended: &Receiver<()>) {
        let mut fails = false;
        while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            match self.sync(|journal| File::open(journal)?.sync_data()) {
                Ok(()) => fails = false,
                // The database has removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // The database meets it, too, for each open file is told: it says so to whoever commits.
                Err(error) if !fails => {
                    fails = true;
                    tracing::warn!(%error, "the store's journal cannot be synced ahead");
                }
                Err(_) => {}
            }
        }
    }

    /// Syncs the journal that is written to, unless it was not since it was synced.
    fn sync(&mut self, sync: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let Some((written, journal)) = last_journal(&self.folder)? else { return Ok(()) };
        if self.synced != Some(written) {
            sync(&journal)?;
            self.synced = Some(written);
        }
        Ok(())
    }
}

fn last_journal(folder: &Path) -> io::Result<Option<(Written, PathBuf)>> {
    let mut last: Option<(Written, PathBuf)> = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(number) = journal_number(&entry.path())
            && last.as_ref().is_none_or(|((highest, _), _)| number > *highest)
        {
            last = Some(((number, entry.metadata()?.modified()?), entry.path()));
        }
    }
    Ok(last)
}

fn journal_number(path: &Path) -> Option<u64> {
    let is_journal = path.extension().is_some_and(|extension| extension == EXTENSION);
    path.file_stem().filter(|_| is_journal)?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use fjall::{Database, KeyspaceCreateOptions};

    use super::*;

    fn ahead(folder: &Path) -> Ahead {
        Ahead { folder: folder.to_owned(), synced: None }
    }

    /// Which journal was synced, by its name.
    fn synced(ahead: &mut Ahead) -> Option<String> {
        let mut name = None;
        let note = |path: &Path| {
            name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            File::open(path)?.sync_data()
        };
        ahead.sync(note).unwrap();
        name
    }

    #[test]
    fn the_database_writes_where_it_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let mut ahead = ahead(folder.path());
        assert_eq!(synced(&mut ahead), None, "there is none");
        let database = Database::builder(folder.path()).open().unwrap();
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        assert!(synced(&mut ahead).is_some(), "fjall names its journals otherwise now");
        assert_eq!(synced(&mut ahead), None, "it was not written meanwhile");
        let deadline = SystemTime::now() + Duration::from_secs(10);
        while synced(&mut ahead).is_none() {
            assert!(SystemTime::now() < deadline, "what is written is elsewhere");
            rows.insert("key", "value").unwrap();
        }
    }

    #[test]
    fn of_several_the_highest_number_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let write = |name: &str, seconds| {
            File::create(folder.path().join(name)).unwrap().set_modified(at(seconds)).unwrap();
        };
        for name in ["9.jnl", "10.jnl", "2.jnl", "lock", "11.tmp", "x.jnl"] {
            write(name, 7);
        }
        let mut ahead = ahead(folder.path());
        assert_eq!(synced(&mut ahead).as_deref(), Some("10.jnl"));
        write("9.jnl", 9);
        assert_eq!(synced(&mut ahead), None);
        write("10.jnl", 6);
        assert_eq!(synced(&mut ahead).as_deref(), Some("10.jnl"), "a clock may be set back");
        write("11.jnl", 6);
        assert_eq!(synced(&mut ahead).as_deref(), Some("11.jnl"));
    }

    #[test]
    fn what_failed_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("0.jnl")).unwrap();
        let mut ahead = ahead(folder.path());
        assert!(ahead.sync(|_| Err(ErrorKind::Other.into())).is_err());
        assert_eq!(synced(&mut ahead).as_deref(), Some("0.jnl"));
    }

    #[test]
    fn the_thread_ends_after_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let SyncAhead { _ends_when_dropped: sender, _thread: thread } = SyncAhead::start(folder.path()).unwrap();
        drop(sender);
        thread.join().unwrap();
    }
}
