//! Docker Compose, for the test that reads `docker-compose.yml` as Compose itself does: built by Go from the module that lies
//! in `xtask/tools/compose-cli`. Its `config` needs no Docker engine.

use std::path::PathBuf;

use crate::{
    root::tools_folder,
    run::Outcome,
    tools::{Version, go, is_program},
};

/// The version that the module pins; the built file has it in its name, so that another one is built anew.
const PINNED: Version = Version(5, 5, 0);
/// What a developer may do when it cannot be built.
pub const ADVICE: &str = "install Go 1.26.3 or later";

/// Compose, built now if need be.
pub fn ensure() -> Outcome<PathBuf> {
    match find() {
        Some(found) => Ok(found),
        None => build().map_err(|problem| format!("no Docker Compose for the tests: {ADVICE} ({problem})")),
    }
}

/// The program that is here.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("SALDO_COMPOSE").map(PathBuf::from);
    [named, Some(local())].into_iter().flatten().find(|program| is_program(program))
}

fn local() -> PathBuf {
    tools_folder().join(format!("docker-compose-{PINNED}"))
}

fn build() -> Outcome<PathBuf> {
    eprintln!("building Docker Compose {PINNED} into .tools (once; a few minutes)");
    let version = format!("-X github.com/docker/compose/v5/internal.Version=v{PINNED}");
    go::build("compose-cli", "github.com/docker/compose/v5/cmd", &version, &local())?;
    Ok(local())
}
