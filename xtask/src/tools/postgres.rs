//! PostgreSQL for the bench: Debian's, got by apt where this may be done.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    run::{Outcome, output},
    tools::is_program,
};

/// Where Debian puts each major version.
const VERSIONS: &str = "/usr/lib/postgresql";
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pgbench"];
/// What a developer may do when there is none.
const ADVICE: &str = "install Debian's package postgresql (`apt-get install postgresql`), or choose rows that do not need \
                      it with --only";

/// The folder of its programs, got now if need be.
pub fn ensure() -> Outcome<PathBuf> {
    if let Some(folder) = find(Path::new(VERSIONS)) {
        return Ok(folder);
    }
    eprintln!("getting PostgreSQL by apt (once)");
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends", "postgresql"]).env("DEBIAN_FRONTEND", "noninteractive");
    output(&mut apt).map_err(|problem| format!("no PostgreSQL to measure beside: {ADVICE} ({problem})"))?;
    find(Path::new(VERSIONS)).ok_or_else(|| format!("no PostgreSQL although it was installed: {ADVICE}"))
}

/// The newest version that is whole.
fn find(versions: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(versions).ok()?.flatten().map(|entry| entry.path().join("bin"));
    let whole = folders.filter(|folder| PROGRAMS.iter().all(|program| is_program(&folder.join(program))));
    whole.max_by_key(|folder| major(folder))
}

/// `15` of `…/15/bin`.
fn major(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name);
    name.and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(major(Path::new("/usr/lib/postgresql/15/bin")) > major(Path::new("/usr/lib/postgresql/9/bin")));
        assert_eq!(find(Path::new("/no/such/folder")), None);
    }
}
