//! A nats-server of a start before this one: after a kill -9 of Saldo the kernel ends it, which may take a moment.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::config::{config_file, process_file};

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the leftover, if there is one, has ended; kills it if the kernel has not. The caller holds the data
/// folder's lock, so that nobody else can be using that server.
///
/// # Errors
/// It does not end.
pub async fn wait_for_leftover(data: &Path) -> anyhow::Result<()> {
    let file = process_file(data);
    let Some(process) = read(&file) else { return Ok(()) };
    let deadline = Instant::now() + PATIENCE;
    while runs(process, &config_file(data)) {
        if Instant::now() > deadline {
            anyhow::bail!("a nats-server of an earlier start (process {}) does not end", process.as_raw_pid());
        }
        let _gone_already = kill_process(process, Signal::KILL);
        tokio::time::sleep(PAUSE).await;
    }
    let _absent_already = fs::remove_file(file);
    Ok(())
}

fn read(file: &Path) -> Option<Pid> {
    fs::read_to_string(file).ok()?.trim().parse().ok().and_then(Pid::from_raw)
}

/// Whether the process is a nats-server with our configuration: its id may belong to somebody else by now.
fn runs(process: Pid, config: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{}/cmdline", process.as_raw_pid())) else { return false };
    let config = config.as_os_str().as_encoded_bytes();
    command.split(|byte| *byte == 0).any(|argument| argument == config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_is_somebody_elses_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(process_file(folder.path()), std::process::id().to_string()).unwrap();
        wait_for_leftover(folder.path()).await.unwrap();
        assert!(!process_file(folder.path()).exists());
    }

    #[tokio::test]
    async fn a_leftover_with_our_configuration_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "read forever", "sh"]).arg(config_file(folder.path()));
        let mut leftover = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        fs::write(process_file(folder.path()), leftover.id().to_string()).unwrap();
        let reaper = std::thread::spawn(move || leftover.wait().unwrap());
        wait_for_leftover(folder.path()).await.unwrap();
        assert!(!reaper.join().unwrap().success());
    }
}
