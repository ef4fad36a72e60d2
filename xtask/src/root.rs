//! Where the project lies.

use std::path::{Path, PathBuf};

/// The project's root folder.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The folder for tools that xtask gets: not under version control, safe to delete.
pub fn tools_folder() -> PathBuf {
    root().join(".tools")
}
