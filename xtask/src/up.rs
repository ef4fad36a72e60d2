//! `cargo xtask up`: from a fresh clone to a running pipeline.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    executable::executable,
    run::{Outcome, cargo, shown_failure},
    tools::nats_server,
};

/// Gets nats-server, builds Saldo, and becomes `saldo up`, so that signals reach it directly.
pub fn up(arguments: &[String]) -> Outcome {
    let own_server = arguments.iter().any(|argument| argument.starts_with("--nats-server"));
    let mut saldo_arguments = vec!["up".to_owned()];
    if !own_server && std::env::var_os("SALDO_NATS_SERVER").is_none() {
        let server = nats_server::ensure()?;
        saldo_arguments.extend(["--nats-server".to_owned(), server.display().to_string()]);
    }
    saldo_arguments.extend_from_slice(arguments);
    let saldo = build("saldo", "release")?;
    let failure = Command::new(&saldo).args(saldo_arguments).exec();
    Err(format!("cannot run {}: {failure}", saldo.display()))
}

/// Builds a package's binary of the same name with a profile and says where it lies. Cargo itself is asked for the path: a
/// target folder may be configured in many places.
pub fn build(package: &str, profile: &str) -> Outcome<PathBuf> {
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo(&["build", "--profile", profile, "--package", package, "--bin", package, format]);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(shown_failure(&format!("building {package}"), output.status));
    }
    executable(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| "cargo named no executable".to_owned())
}
