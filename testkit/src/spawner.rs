//! Starting processes that cannot outlive the test.

use std::{
    io,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
};

struct Job {
    command: Command,
    answer: mpsc::Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();

/// Starts a process that the system kills when this process ends, however that happens (on Linux; elsewhere only an
/// orderly end takes it along).
///
/// The system watches the *thread* that started the child, and a test's thread ends with the test: so one thread that
/// never ends starts them all.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (answer, outcome) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    spawner().send(Job { command, answer }).map_err(|_| gone(()))?;
    outcome.recv().map_err(|_| gone(()))?
}

fn spawner() -> &'static mpsc::Sender<Job> {
    SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for mut job in jobs {
                die_with_us(&mut job.command);
                // The asker waits for the answer, so that sending it cannot fail.
                drop(job.answer.send(job.command.spawn()));
            }
        });
        sender
    })
}

#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let ask = || Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?);
    #[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
    // SAFETY: the closure makes one system call and allocates nothing, which is allowed between fork and exec.
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}
