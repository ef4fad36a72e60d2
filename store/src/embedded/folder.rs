//! The folder: one process at a time, one format version.

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::config::PROBE_BYTES;
use crate::{StoreError, StoreErrorKind, begin_anew};

/// Version of keys and values; another one is not read.
const FORMAT_VERSION: &str = "3";
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_TEXT: &str = "saldo embedded store, format version ";
const PROBE_FILE: &str = "PROBE";
const DATABASE_FOLDER: &str = "fjall";
/// fjall writes this file last when it makes a database.
const DATABASE_MARKER: &str = "version";

/// A store's folder that this process holds alone until it is dropped.
#[derive(Debug)]
pub struct EmbeddedFolder {
    path: PathBuf,
    /// The lock is on the folder itself: no file can be removed that would let a second process in, and all paths that
    /// lead to the folder lead to the one lock. The system releases it when the process ends, however it ends.
    _lock: File,
}

impl EmbeddedFolder {
    /// Makes the folder if need be, locks it and checks its format.
    ///
    /// # Errors
    /// [`StoreErrorKind::Refused`] with one sentence when another process uses the folder, it may not be written, or
    /// holds another format or something else.
    pub fn claim(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|error| unusable(path, &error))?;
        let lock = lock(path)?;
        check_format(path)?;
        remove_unfinished_database(path).map_err(|error| unusable(path, &error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether no database has been made in it yet, or it was removed: nothing is stored.
    pub fn is_empty(&self) -> bool {
        !self.database().join(DATABASE_MARKER).exists()
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FOLDER)
    }

    /// Whether there is room again: writes some bytes to disk and removes them.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.path.join(PROBE_FILE);
        let written = File::create(&path).and_then(|mut file| {
            // Not zeros: file systems that compress would take no space for them.
            let bytes: Vec<u8> =
                (0..PROBE_BYTES).map(|index| (index % 251 + index / 4096 % 5).to_le_bytes()[0]).collect();
            file.write_all(&bytes)?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let folder = File::open(path).map_err(|error| unusable(path, &error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(refused(format!(
            "another process uses the store in {}: stop it, or choose another folder",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

fn check_format(path: &Path) -> Result<(), StoreError> {
    let file = path.join(FORMAT_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => check_format_text(path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            check_empty(path)?;
            write_format(path).map_err(|error| unusable(path, &error))
        }
        Err(error) => Err(unusable(path, &error)),
    }
}

fn check_format_text(path: &Path, text: &str) -> Result<(), StoreError> {
    let found = text.trim_end().strip_prefix(FORMAT_TEXT);
    match found {
        Some(FORMAT_VERSION) => Ok(()),
        Some(other) => Err(refused(format!(
            "the store in {} has format version {other}, and this program reads version {FORMAT_VERSION}: start the program \
             that wrote it; or {}",
            path.display(),
            begin_anew(&how_to_empty(path))
        ))),
        None => Err(damaged(path, "its file FORMAT does not say which format it has")),
    }
}

/// A folder without a format must hold nothing, or only what an interrupted first start leaves.
fn check_empty(path: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(path).map_err(|error| unusable(path, &error))? {
        let name = entry.map_err(|error| unusable(path, &error))?.file_name();
        if name == DATABASE_FOLDER {
            return Err(damaged(path, "its file FORMAT is missing"));
        }
        if name != temporary_format_file().as_str() {
            let (path, name) = (path.display(), name.display());
            return Err(refused(format!(
                "{path} holds something else than a store: {name}; move it away, or choose another folder"
            )));
        }
    }
    Ok(())
}

fn temporary_format_file() -> String {
    format!("{FORMAT_FILE}.new")
}

/// Written whole or not at all.
fn write_format(path: &Path) -> io::Result<()> {
    let temporary = path.join(temporary_format_file());
    let mut file = File::create(&temporary)?;
    writeln!(file, "{FORMAT_TEXT}{FORMAT_VERSION}")?;
    file.sync_all()?;
    fs::rename(&temporary, path.join(FORMAT_FILE))?;
    File::open(path)?.sync_all()
}

/// A process killed while fjall makes a database leaves one that cannot be opened; nothing was ever written to it.
fn remove_unfinished_database(path: &Path) -> io::Result<()> {
    let database = path.join(DATABASE_FOLDER);
    if database.try_exists()? && !database.join(DATABASE_MARKER).try_exists()? {
        fs::remove_dir_all(database)?;
    }
    Ok(())
}

/// What empties the store in this folder.
pub(super) fn how_to_empty(path: &Path) -> String {
    format!("remove {}", path.display())
}

/// The store was written by this program, and its files are not as they were written.
pub(super) fn damaged(path: &Path, what: impl Display) -> StoreError {
    refused(format!("the store in {} is damaged ({what})", path.display())).with_remedy(&how_to_empty(path))
}

fn refused(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, message)
}

/// An error of the folder itself. Missing rights do not come by waiting, space may.
pub(super) fn unusable(path: &Path, error: &io::Error) -> StoreError {
    let folder = path.display();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            refused(format!("the store needs to write in {folder}, and may not: {error}"))
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            refused(format!("the store needs a folder, and {folder} is none: {error}"))
        }
        _ => StoreError::new(StoreErrorKind::Unavailable, format!("the store cannot use {folder}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_once_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = EmbeddedFolder::claim(temporary.path()).unwrap();
        let second = EmbeddedFolder::claim(temporary.path()).unwrap_err();
        assert_eq!(second.kind, StoreErrorKind::Refused);
        assert!(second.message.starts_with("another process uses"), "{second}");
        folder.probe().unwrap();
        drop(folder);
        EmbeddedFolder::claim(temporary.path()).unwrap();
    }

    #[test]
    fn another_format_is_refused_with_a_sentence() {
        let temporary = tempfile::tempdir().unwrap();
        drop(EmbeddedFolder::claim(temporary.path()).unwrap());
        fs::write(temporary.path().join(FORMAT_FILE), format!("{FORMAT_TEXT}7\n")).unwrap();
        let error = EmbeddedFolder::claim(temporary.path()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.message.contains("has format version 7"), "{error}");
        fs::write(temporary.path().join(FORMAT_FILE), "").unwrap();
        assert_eq!(EmbeddedFolder::claim(temporary.path()).unwrap_err().kind, StoreErrorKind::Refused);
    }

    #[test]
    fn a_folder_with_something_else_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("letter.txt"), "dear reader").unwrap();
        let error = EmbeddedFolder::claim(temporary.path()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.message.contains("letter.txt"), "{error}");
    }

    #[test]
    fn an_interrupted_first_start_is_taken_up() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join(temporary_format_file()), "sal").unwrap();
        let folder = EmbeddedFolder::claim(temporary.path()).unwrap();
        fs::create_dir_all(folder.database().join("keyspaces")).unwrap();
        drop(folder);
        assert!(!EmbeddedFolder::claim(temporary.path()).unwrap().database().exists());
    }

    #[test]
    fn a_read_only_place_and_a_file_are_refused() {
        // Nobody may make folders in the kernel's own file system, root neither.
        let error = EmbeddedFolder::claim(Path::new("/sys/kernel/saldo-store")).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
        assert!(error.message.contains("needs to write in /sys/kernel/saldo-store"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = EmbeddedFolder::claim(file.path()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    }
}
