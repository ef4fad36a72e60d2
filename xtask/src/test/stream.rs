//! Runs `cargo test`, shows what it prints as it comes, and counts.

use std::{
    io::{BufRead, BufReader, Write, pipe, stdout},
    process::Command,
};

use super::tally::Tally;
use crate::run::Outcome;

/// Runs the tests. Failing tests are in the tally, not in the outcome: the error is for tests that could not be run, and
/// for a run that ended badly although no test failed.
pub fn run(command: &mut Command, tally: &mut Tally) -> Outcome {
    // One pipe for both: cargo names the test binary on standard error and the binary its results on standard output.
    let (reader, writer) = pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let errors = writer.try_clone().map_err(|error| format!("cannot copy a pipe: {error}"))?;
    command.stdout(writer).stderr(errors);
    let mut child = command.spawn().map_err(|error| format!("cannot run cargo: {error}"))?;
    // The command still holds the writing ends; without them the reading below ends with the child.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line);
        tally.read(&text);
        let _ = writeln!(stdout(), "{text}");
    }
    let status = child.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    if !status.success() && tally.failed == 0 {
        return Err(format!("the tests ended badly ({status})"));
    }
    Ok(())
}
