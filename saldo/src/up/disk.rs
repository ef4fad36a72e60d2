//! How much the log may take. A nats-server that meets a full disk stays broken after space returns, so it must never
//! meet one: the log refuses first.
//!
//! The bound is what the log has now, plus its share of what is free above the reserve. The rest of that is for the store,
//! which grows with the log.

use std::{fs, io, path::Path};

use anyhow::{Context, bail};

use super::settings::UpSettings;

/// The reserve is a tenth of the file system, within these bounds: room for the store's compactions, for nats-server's
/// own files, and for whoever else writes there.
const RESERVE_DIVISOR: u64 = 10;
const SMALLEST_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
const LARGEST_RESERVE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// The log's share of what is free above the reserve: the store keeps every launch's line too, with its rows and indexes.
const LOG_SHARE_PERCENT: u64 = 40;
/// Less than this is no place to begin.
const SMALLEST_LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What we may still write.
    pub free: u64,
}

impl Space {
    /// The file system that holds `path`.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of(path: &Path) -> io::Result<Self> {
        let status = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
        Ok(Self { total: bytes(status.f_blocks), free: bytes(status.f_bavail) })
    }

    /// What is left free.
    pub fn reserve(&self) -> u64 {
        (self.total / RESERVE_DIVISOR).clamp(SMALLEST_RESERVE_BYTES, LARGEST_RESERVE_BYTES)
    }

    /// The log's bound, when it has `existing` bytes now: never below these, for they are acknowledged.
    pub fn log_max_bytes(&self, existing: u64) -> u64 {
        let growth = self.free.saturating_sub(self.reserve()) / 100 * LOG_SHARE_PERCENT;
        existing.saturating_add(growth)
    }
}

/// The log's bound for this start: what is configured, else by the space of the disk that it lies on, which need not be
/// that of the data folder.
///
/// # Errors
/// The space cannot be read, or is too little to begin with.
pub fn log_max_bytes(settings: &UpSettings, log: &Path) -> anyhow::Result<u64> {
    if let Some(configured) = settings.log_max_bytes {
        return Ok(configured);
    }
    let shown = log.display();
    let space = Space::of(log).with_context(|| format!("cannot read the free space of {shown}"))?;
    let existing = bytes_below(log).with_context(|| format!("cannot read {shown}"))?;
    let bound = space.log_max_bytes(existing);
    if bound < SMALLEST_LOG_BYTES {
        let needed = space.reserve() + SMALLEST_LOG_BYTES * 100 / LOG_SHARE_PERCENT;
        bail!("too little space for {shown}: {} are free, {} are needed", readable(space.free), readable(needed));
    }
    Ok(bound)
}

/// Bytes of all files in and below a folder; 0 when there is none.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    entries.map(|entry| entry.and_then(|entry| bytes_of(&entry))).sum()
}

fn bytes_of(entry: &fs::DirEntry) -> io::Result<u64> {
    let metadata = entry.metadata()?;
    if metadata.is_dir() { bytes_below(&entry.path()) } else { Ok(metadata.len()) }
}

/// Bytes for a person: `61.2 GB`.
pub fn readable(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", bytes / size, bytes % size / (size / 10)),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn existing_bytes_count_as_usable_and_the_reserve_stays_free() {
        let space = Space { total: 100 * GB, free: 54 * GB };
        assert_eq!(space.reserve(), 4 * GB);
        assert_eq!(space.log_max_bytes(0), 50 * GB / 100 * 40);
        assert_eq!(space.log_max_bytes(7 * GB), 7 * GB + 50 * GB / 100 * 40);
    }

    #[test]
    fn a_disk_that_is_full_up_to_the_reserve_lets_the_log_keep_what_it_has() {
        let space = Space { total: 10 * GB, free: GB / 2 };
        assert_eq!(space.log_max_bytes(3 * GB), 3 * GB);
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!(readable(61_250_000_000), "61.2 GB");
        assert_eq!(readable(1_000_000), "1.0 MB");
        assert_eq!(readable(12), "12 bytes");
    }

    #[test]
    fn files_are_added_up_over_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 1_000]).unwrap();
        fs::write(folder.path().join("c"), [0; 24]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 1_024);
        assert_eq!(bytes_below(&folder.path().join("absent")).unwrap(), 0);
    }
}
