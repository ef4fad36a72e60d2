//! Which nats-server to run, and whether it is new enough.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// The oldest version that has all that the log needs: atomic batch publishing came with it.
const OLDEST: Version = Version(2, 12);
/// What a person may do.
const ADVICE: &str = "install nats-server 2.12 or later, name one with --nats-server PATH, or use `cargo xtask up`, \
                      which gets one";

/// A nats-server that is new enough.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Where it lies.
    pub path: PathBuf,
    /// Its version as it says.
    pub version: String,
}

/// The nats-server that is named, or the one on PATH.
///
/// # Errors
/// There is none, it cannot be run, or it is too old.
pub fn find(named: Option<&Path>) -> anyhow::Result<Binary> {
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => on_path().with_context(|| format!("there is no nats-server on PATH: {ADVICE}"))?,
    };
    let said = said_version(&path)?;
    let version = said.strip_prefix("nats-server: v").unwrap_or_default().to_owned();
    match parse(&version) {
        None => bail!("{} is no nats-server: asked for its version it said {said:?}; {ADVICE}", path.display()),
        Some(found) if found < OLDEST => {
            bail!("nats-server {version} ({}) is too old, {OLDEST} is needed: {ADVICE}", path.display())
        }
        Some(_) => Ok(Binary { path, version }),
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|candidate| candidate.is_file())
}

fn said_version(path: &Path) -> anyhow::Result<String> {
    let output = Command::new(path).arg("--version").output();
    let output = output.with_context(|| format!("cannot run nats-server {}: {ADVICE}", path.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().unwrap_or_default().trim().to_owned())
}

/// Major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(str::parse);
    Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(says: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats-server");
        testkit::write_script(&path, &format!("echo '{says}'")).unwrap();
        (folder, path)
    }

    #[test]
    fn a_new_enough_server_is_taken() {
        let (_folder, path) = script("nats-server: v2.12.3");
        assert_eq!(find(Some(&path)).unwrap().version, "2.12.3");
    }

    #[test]
    fn an_old_server_is_refused_with_both_versions() {
        let (_folder, path) = script("nats-server: v2.9.25");
        let refused = find(Some(&path)).unwrap_err().to_string();
        assert!(refused.contains("2.9.25") && refused.contains("2.12 is needed"), "{refused}");
    }

    #[test]
    fn something_else_is_refused() {
        let (_folder, path) = script("true (GNU coreutils) 9.1");
        assert!(find(Some(&path)).unwrap_err().to_string().contains("is no nats-server"));
        assert!(find(Some(Path::new("/nowhere/nats-server"))).unwrap_err().to_string().contains("cannot run"));
    }
}
