//! The `nats` command line, for the tests that use it: PATH when its version is the pinned one, else built by Go from
//! the module that lies in `xtask/tools/nats-cli`, whose sums pin every dependency.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    root::tools_folder,
    run::{Outcome, output},
    tools::{Version, go, is_program, on_path, version_in},
};

/// The version that the tests were written against.
pub const PINNED: Version = Version(0, 4, 0);
/// What a developer may do when it cannot be built.
pub const ADVICE: &str = "install Go 1.26 or later (or the nats CLI 0.4.0 on PATH)";

/// The CLI, built now if need be.
pub fn ensure() -> Outcome<PathBuf> {
    match find() {
        Some(found) => Ok(found),
        None => build().map_err(|problem| format!("no nats CLI for the tests: {ADVICE} ({problem})")),
    }
}

/// A CLI of the pinned version that is here.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("SALDO_NATS_CLI").map(PathBuf::from);
    let candidates = [named, on_path("nats"), Some(local())];
    candidates.into_iter().flatten().find(|program| is_pinned(program))
}

fn local() -> PathBuf {
    tools_folder().join("nats")
}

fn is_pinned(program: &Path) -> bool {
    is_program(program) && version(program) == Some(PINNED)
}

/// A build from source knows its version only when it is told; Go's own record of the module is always there.
fn version(program: &Path) -> Option<Version> {
    let said = output(Command::new(program).arg("--version")).ok().and_then(|text| version_in(&text));
    said.or_else(|| recorded_version(program))
}

fn recorded_version(program: &Path) -> Option<Version> {
    let record = output(Command::new("go").args(["version", "-m"]).arg(program)).ok()?;
    record.lines().find(|line| line.contains("github.com/nats-io/natscli")).and_then(version_in)
}

fn build() -> Outcome<PathBuf> {
    let version = format!("-X main.version=v{PINNED}");
    go::build("nats-cli", "github.com/nats-io/natscli/nats", &version, &local())?;
    Ok(local())
}
