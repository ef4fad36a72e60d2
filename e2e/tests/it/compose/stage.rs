//! Namespaces of the test's own: it runs itself again in them, so that nothing of the network and no mount is seen outside,
//! and the system ends every process with it.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use testkit::ChildProcess;

use super::PATIENCE;

/// Tells the test that it runs inside, and names its folder.
const VARIABLE: &str = "SALDO_TEST_COMPOSE_STAGE";
/// Processes run as another user only where users can be chosen.
const VARIABLE_USERS: &str = "SALDO_TEST_COMPOSE_USERS";
const WANTED: &str = "this test needs namespaces of its own: run it on Linux, as root or where users may make user namespaces, \
                      with util-linux (unshare, nsenter, setpriv, mount), iproute2 (ip) and wget";

/// The inside.
#[derive(Clone, Debug)]
pub struct Stage {
    folder: PathBuf,
    has_users: bool,
}

impl Stage {
    /// Runs the test with this path again, inside.
    pub fn enter(test: &str) -> anyhow::Result<()> {
        let folder = testkit::temp_folder()?;
        // The test binary names its tests without the crate's name.
        let test = test.split_once("::").map_or(test, |(_, rest)| rest);
        let is_root = fs::metadata("/proc/self").context(WANTED)?.uid() == 0;
        let mut command = Command::new("unshare");
        command.args(if is_root { &[][..] } else { &["--map-root-user"] });
        command.args([
            "--net",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        command.arg(env::current_exe()?).args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, folder.path()).env(VARIABLE_USERS, is_root.to_string());
        // Whatever the inside leaves behind, however it ends, is gone with its file system.
        command.env("TMPDIR", folder.path());
        // Nothing inside is behind a proxy of this machine.
        command.env("NO_PROXY", "*").env("no_proxy", "*");
        let mut inside = ChildProcess::spawn(command).context(WANTED)?;
        let status = inside.wait(3 * PATIENCE)?;
        let output = inside.output();
        ensure!(output.contains("running 1 test"), "{status}: {WANTED}\n{output}");
        ensure!(status.success() && output.contains("1 passed"), "{status}\n{output}");
        Ok(())
    }

    /// The inside, where the test is there.
    pub fn entered() -> Option<Self> {
        let folder = PathBuf::from(env::var_os(VARIABLE)?);
        Some(Self { folder, has_users: env::var(VARIABLE_USERS).is_ok_and(|value| value == "true") })
    }

    /// A file system of its own for all that the services write, and a place for the network's names.
    pub fn furnish(&self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs"]).arg(&self.folder))?;
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"])).map(drop)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a process can be given another user.
    pub fn has_users(&self) -> bool {
        self.has_users
    }
}

/// Runs a command to its end; what it printed.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}; {WANTED}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}
