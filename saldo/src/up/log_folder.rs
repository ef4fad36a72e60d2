//! The log's own folder: one Saldo at a time, whatever path leads to it.
//!
//! The data folder's lock guards a path. The log behind it may be reached by others: `nats/` may be a symbolic link or a
//! bind mount that two data folders share, and a lock file may be removed. So this lock is on JetStream's folder itself,
//! which nobody removes without removing the log, and it is taken before nats-server is started, or an earlier one ended.
//! The child does not inherit it; it has a lock of its own, see `exec-child`.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// The folder that nats-server makes in its `store_dir`.
const JETSTREAM: &str = "jetstream";

/// The log's folder, which belongs to this process until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct LogFolder {
    path: PathBuf,
    _lock: File,
}

impl LogFolder {
    /// Makes the folder in `store_dir` if need be, and takes its lock.
    ///
    /// # Errors
    /// It cannot be made or locked, or another process has it.
    pub fn claim(store_dir: &Path) -> anyhow::Result<Self> {
        let folder = store_dir.join(JETSTREAM);
        let opened = fs::create_dir_all(&folder)
            .and_then(|()| folder.canonicalize())
            .and_then(|path| File::open(&path).map(|lock| (path, lock)));
        let (path, lock) = opened.with_context(|| format!("cannot use the log's folder {}", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another saldo uses the log in {} already", path.display()),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| {
                let path = path.display();
                format!("cannot lock {path}: the log needs a local file system, or another one with locks on folders")
            }),
        }
    }

    /// Where it really lies: the path that was given may be one of several.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_paths_to_a_log_lead_to_one_lock() {
        let parent = tempfile::tempdir().unwrap();
        let (first, second) = (parent.path().join("first"), parent.path().join("second"));
        let held = LogFolder::claim(&first).unwrap();
        symlink(&first, &second).unwrap();
        let refused = LogFolder::claim(&second).unwrap_err().to_string();
        let shown = first.canonicalize().unwrap().join(JETSTREAM).display().to_string();
        assert!(refused.contains("another saldo uses the log") && refused.contains(&shown), "{refused}");
        drop(held);
        LogFolder::claim(&second).unwrap();
    }

    #[test]
    fn a_jetstream_folder_that_is_a_link_is_locked_where_it_lies() {
        let parent = tempfile::tempdir().unwrap();
        let (first, second) = (parent.path().join("first"), parent.path().join("second"));
        let _held = LogFolder::claim(&first).unwrap();
        fs::create_dir(&second).unwrap();
        symlink(first.join(JETSTREAM), second.join(JETSTREAM)).unwrap();
        assert!(LogFolder::claim(&second).is_err());
    }
}
