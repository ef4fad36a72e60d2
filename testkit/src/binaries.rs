//! Where the programs are that tests run.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// The workspace's folder.
pub fn workspace_folder() -> PathBuf {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate.parent().unwrap_or(this_crate).to_path_buf()
}

/// The NATS server: `SALDO_NATS_SERVER`, else `nats-server` on the PATH, else the one that the developer tasks put into
/// the workspace.
///
/// # Errors
/// Says how to get it.
pub fn nats_server_binary() -> anyhow::Result<PathBuf> {
    find("SALDO_NATS_SERVER", "nats-server", &[".tools/nats-server/bin/nats-server"])
}

/// The `nats` command line: `SALDO_NATS_CLI`, else `nats` on the PATH, else the one that the developer tasks put into the
/// workspace.
///
/// # Errors
/// Says how to get it.
pub fn nats_cli() -> anyhow::Result<PathBuf> {
    find("SALDO_NATS_CLI", "nats", &[".tools/nats/nats", ".tools/nats/bin/nats", ".tools/nats"])
}

/// Java 17, which Cassandra 5 runs on: from `JAVA_HOME`, else on the PATH.
///
/// # Errors
/// Says what to install.
pub(crate) fn java() -> anyhow::Result<PathBuf> {
    let java = of_java_home("java");
    let said = Command::new(&java).arg("-version").output();
    // It tells its version on the standard error.
    let version = said.map(|said| String::from_utf8_lossy(&said.stderr).into_owned()).unwrap_or_default();
    anyhow::ensure!(
        version.contains("version \"17."),
        "the tests of the CQL store need Java 17 (a JDK, such as openjdk-17-jdk-headless), on PATH or in JAVA_HOME; found: {}",
        version.lines().next().unwrap_or("none")
    );
    Ok(java)
}

/// The tool of the same JDK that makes keys and certificates.
///
/// # Errors
/// Says what to install.
pub(crate) fn keytool() -> anyhow::Result<PathBuf> {
    java().map(|_| of_java_home("keytool"))
}

fn of_java_home(program: &str) -> PathBuf {
    let home = env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    home.map_or_else(|| PathBuf::from(program), |home| Path::new(&home).join("bin").join(program))
}

/// The folder with Cassandra's jars: `SALDO_CASSANDRA_JARS`, else where the developer tasks put them.
///
/// # Errors
/// Says how to get them.
pub(crate) fn cassandra_jars() -> anyhow::Result<PathBuf> {
    let named = env::var_os("SALDO_CASSANDRA_JARS").filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace_folder().join(".tools/cassandra-5.0.8"));
    anyhow::ensure!(
        folder.is_dir(),
        "Cassandra's jars are not in {}: install Maven and run `cargo xtask test`, which gets them, or set \
         SALDO_CASSANDRA_JARS",
        folder.display()
    );
    Ok(folder)
}

/// A binary of this workspace, as cargo built it for the tests that run now: it lies beside their folder. Cargo builds it
/// for integration tests of its own package, or when the whole workspace is built.
///
/// # Errors
/// When it has not been built.
pub fn cargo_binary(name: &str) -> anyhow::Result<PathBuf> {
    let test = env::current_exe().context("cannot tell where this test's binary is")?;
    let folders = test.ancestors().skip(1).take(3);
    let found =
        folders.map(|folder| folder.join(name).with_extension(env::consts::EXE_EXTENSION)).find(|file| file.is_file());
    found.with_context(|| format!("the binary {name} is not built: run `cargo build --package {name}` first"))
}

fn find(variable: &str, name: &str, in_workspace: &[&str]) -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        anyhow::ensure!(path.is_file(), "{variable} names {}, which is not a file", path.display());
        return Ok(path);
    }
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let workspace = workspace_folder();
    let local = in_workspace.iter().map(|file| workspace.join(file));
    let mut candidates = on_path.into_iter().map(|folder| folder.join(name)).chain(local);
    match candidates.find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("{name} was not found: run `cargo xtask doctor`, it says how to get it, or set {variable}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_found() {
        assert!(workspace_folder().join("Cargo.toml").is_file());
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let error = find("SALDO_NO_SUCH_VARIABLE", "no-such-program", &[".tools/none"]).unwrap_err();
        assert!(error.to_string().contains("cargo xtask doctor"), "{error}");
        assert!(cargo_binary("no-such-binary").is_err());
    }
}
