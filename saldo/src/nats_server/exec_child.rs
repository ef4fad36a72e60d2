//! How a child is bound to the life of its parent, and keeps others of its kind from its folder.

use std::{
    fs::{File, TryLockError},
    os::{fd::IntoRawFd, unix::process::CommandExt},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::cli::ExecChildArguments;

/// How long one that was killed may take to let go of the folder: its last writes go to a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// What the child is called in lists of processes, and how a later start knows it from a server that somebody else started.
pub(super) const CHILD_NAME: &str = "nats-server-of-saldo-up";

/// Asks the kernel for SIGKILL when the parent's thread ends, sees that the parent is still there, locks the folder, and
/// becomes the program. Request and lock outlive `exec`, so that no watcher process is needed and the child's id is the
/// program's.
///
/// # Errors
/// The parent has gone already, another program holds the folder, or the program cannot be run.
pub fn exec_child(arguments: &ExecChildArguments) -> anyhow::Result<()> {
    bind_to_parent()?;
    // The parent may have died before the request: then nobody would ever send the signal.
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_pid());
    if parent != Some(arguments.parent) {
        bail!("the process that this one belongs to has gone");
    }
    hold(&arguments.lock)?;
    let Some((program, rest)) = arguments.command.split_first() else { bail!("no program is named") };
    let failure = Command::new(program).arg0(CHILD_NAME).args(rest).exec();
    Err(anyhow!("cannot run {}: {failure}", program.display()))
}

/// Locks the folder for the life of this process. A nats-server that outlives its Saldo, for a moment or where the kernel does
/// not end it, so keeps every other one from writing to the same log.
fn hold(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let lock = File::open(folder).with_context(|| format!("cannot open {shown}"))?;
    let deadline = Instant::now() + PATIENCE;
    while let Err(refused) = lock.try_lock() {
        match refused {
            TryLockError::WouldBlock if Instant::now() < deadline => std::thread::sleep(PAUSE),
            TryLockError::WouldBlock => bail!("another nats-server writes to {shown}: end it first"),
            TryLockError::Error(error) => return Err(error).with_context(|| format!("cannot lock {shown}")),
        }
    }
    fcntl_setfd(&lock, FdFlags::empty())?;
    // Left open: the program has it from here on, and the system closes it when the program ends.
    let _held = lock.into_raw_fd();
    Ok(())
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
