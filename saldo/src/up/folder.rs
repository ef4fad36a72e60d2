//! The data folder: one user at a time, one format.
//!
//! | path | what |
//! |---|---|
//! | `lock` | held while Saldo runs; has its process id |
//! | `format` | the version of everything beside it |
//! | `nats/` | the log: JetStream's folder |
//! | `store/` | balances, journals, progress: the embedded store |
//! | `logs/` | what nats-server writes, bounded |

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// The format that this program reads and writes.
const FORMAT: &str = "saldo data format 1";

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// The lock is the open file: the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if need be, takes its lock and checks its format.
    ///
    /// # Errors
    /// It cannot be written to, another process has it, its format is another, or its path cannot be told to nats-server.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        check_utf8(path)?;
        let made = fs::create_dir_all(path).and_then(|()| path.canonicalize()).and_then(|absolute| {
            let lock =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(absolute.join("lock"))?;
            Ok((absolute, lock))
        });
        let (absolute, lock) = made.with_context(|| cannot_write(path))?;
        take(&lock, path)?;
        check_format(&absolute, path)?;
        Ok(Self { path: absolute, _lock: lock })
    }

    /// Where it lies, from the root of the file system.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log's folder.
    pub fn log(&self) -> PathBuf {
        self.path.join("nats")
    }

    /// The embedded store's folder.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }
}

/// nats-server reads its folders from a configuration that is UTF-8. Where the folder is not there yet, it is its parents,
/// without symbolic links, that count: nothing has been made by then.
fn check_utf8(path: &Path) -> anyhow::Result<()> {
    let absolute = std::path::absolute(path).with_context(|| cannot_write(path))?;
    let there = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    if absolute.to_str().is_none() || there.is_some_and(|there| there.to_str().is_none()) {
        bail!(
            "the path of the data folder {} is not UTF-8, as nats-server's configuration must be: name another one with \
             --data DIR",
            absolute.display()
        );
    }
    Ok(())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write to the data folder {}; name another one with --data DIR", path.display())
}

/// Takes the lock and leaves our process id in the file.
fn take(mut lock: &File, path: &Path) -> anyhow::Result<()> {
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unreadable = lock.take(32).read_to_string(&mut holder);
            bail!("another saldo (process {}) uses the data folder {} already", holder.trim(), path.display());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    let noted = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
    noted.with_context(|| cannot_write(path))
}

fn check_format(absolute: &Path, shown: &Path) -> anyhow::Result<()> {
    let file = absolute.join("format");
    match fs::read_to_string(&file) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => bail!(
            "the data folder {} has the format {:?} and this version of saldo reads {FORMAT:?}: use the version that made \
             it, or another folder",
            shown.display(),
            found.trim().chars().take(80).collect::<String>(),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => begin(absolute, shown),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// A folder without a format must be a new one.
fn begin(absolute: &Path, shown: &Path) -> anyhow::Result<()> {
    for part in ["nats", "store"] {
        if holds_something(&absolute.join(part)).with_context(|| cannot_write(shown))? {
            bail!(
                "the data folder {} has {part}/ but no file that tells its format: copy the file `format`, too, where the \
                 folder comes from a backup, or name another folder",
                shown.display()
            );
        }
    }
    write_durably(absolute).with_context(|| cannot_write(shown))
}

/// Whether a part of the data folder is more than the empty folder, or mount point, that was made for it.
fn holds_something(part: &Path) -> io::Result<bool> {
    match fs::read_dir(part) {
        Ok(mut entries) => entries.try_fold(false, |found, entry| Ok(found || entry?.file_name() != "lost+found")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Written aside and renamed: a crash leaves no half of it.
fn write_durably(folder: &Path) -> io::Result<()> {
    let aside = folder.join("format.new");
    let mut file = File::create(&aside)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&aside, folder.join("format"))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("made/with its parents");
        let first = DataFolder::open(&path).unwrap();
        let refused = DataFolder::open(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn another_format_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("format"), "saldo data format 7\n").unwrap();
        let refused = DataFolder::open(parent.path()).unwrap_err().to_string();
        assert!(refused.contains("format 7") && refused.contains("format 1"), "{refused}");
    }

    #[test]
    fn data_without_a_format_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let store = parent.path().join("store");
        fs::create_dir(&store).unwrap();
        fs::write(store.join("FORMAT"), "").unwrap();
        assert!(DataFolder::open(parent.path()).unwrap_err().to_string().contains("no file that tells its format"));
    }

    #[test]
    fn empty_folders_and_mount_points_are_no_data() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("store")).unwrap();
        fs::create_dir_all(parent.path().join("nats/lost+found")).unwrap();
        DataFolder::open(parent.path()).unwrap();
    }

    #[test]
    fn a_path_that_is_not_utf8_is_refused_before_anything_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let latin1 = parent.path().join(OsStr::from_bytes(b"caixa-s\xe3o"));
        let refused = |path: &Path| DataFolder::open(path).unwrap_err().to_string();
        assert!(refused(&latin1).contains("is not UTF-8"));
        assert!(refused(&latin1.join("data")).contains("is not UTF-8"));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        // A name that is UTF-8 may lead to one that is not.
        fs::create_dir(&latin1).unwrap();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&latin1, &link).unwrap();
        for path in [link.clone(), link.join("data")] {
            assert!(refused(&path).contains("is not UTF-8"), "{}", path.display());
        }
        assert_eq!(fs::read_dir(&latin1).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_cannot_be_a_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = format!("{:#}", DataFolder::open(file.path()).unwrap_err());
        assert!(refused.starts_with("cannot write to the data folder"), "{refused}");
    }
}
