//! The tools that are not Rust: found on PATH, or got through their ordinary clients into `.tools` at a pinned version.

pub mod cassandra;
pub mod compose;
mod go;
pub mod nats_cli;
pub mod nats_server;
pub mod postgres;
mod version;

use std::path::{Path, PathBuf};

pub use version::{Version, version_in};

/// The program on PATH, if there is one.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| is_program(candidate))
}

/// Whether the file may be executed.
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
