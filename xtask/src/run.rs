//! Running other programs.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
};

use crate::root::root;

/// What a task ends with: nothing, or one sentence for the developer.
pub type Outcome<T = ()> = Result<T, String>;

/// Cargo with these arguments, in the project's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // What `cargo run` says of this program itself: build scripts that look at it would run again, and a fresh build would
    // follow each change between a task and a plain cargo command.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

fn is_of_this_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs a command to its end; the sentence says what failed.
pub fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    let status = command.status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(shown_failure(&format!("`{shown}`"), status)) }
}

/// The sentence for something that ended badly.
pub fn shown_failure(what: &str, status: ExitStatus) -> String {
    format!("{what} failed ({status})")
}

/// Runs a command to its end and gives its standard output, or its last words when it fails.
pub fn output(command: &mut Command) -> Outcome<String> {
    let shown = shown(command);
    let output = command.output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last_line = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("`{shown}` failed ({}): {}", output.status, last_line.trim()))
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}
