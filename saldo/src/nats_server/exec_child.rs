//! How a child is bound to the life of its parent.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{anyhow, bail};

use crate::cli::ExecChildArguments;

/// Asks the kernel for SIGKILL when the parent's thread ends, sees that the parent is still there, and becomes the
/// program. The request outlives `exec`, so that no watcher process is needed and the child's id is the program's.
///
/// # Errors
/// The parent has gone already, or the program cannot be run.
pub fn exec_child(arguments: &ExecChildArguments) -> anyhow::Result<()> {
    bind_to_parent()?;
    // The parent may have died before the request: then nobody would ever send the signal.
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_pid());
    if parent != Some(arguments.parent) {
        bail!("the process that this one belongs to has gone");
    }
    let Some((program, rest)) = arguments.command.split_first() else { bail!("no program is named") };
    let failure = Command::new(program).args(rest).exec();
    Err(anyhow!("cannot run {}: {failure}", program.display()))
}

#[cfg(target_os = "linux")]
fn bind_to_parent() -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

/// Other systems have no such request; there the next start finds the leftover by its id.
#[cfg(not(target_os = "linux"))]
fn bind_to_parent() -> anyhow::Result<()> {
    Ok(())
}
