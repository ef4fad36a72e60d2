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

/// Where the system tells about its processes.
const PROCESSES: &str = "/proc";

/// What has the leftover's process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The nats-server with our configuration.
    Ours,
    /// A process that has no command line any more, while one of its threads has not ended: most likely ours, and until the
    /// last of them has its port is taken.
    Ending,
    /// Nothing, or somebody else's process: ids are used again.
    Nothing,
}

/// Waits until the leftover, if there is one, has ended; kills it if the kernel has not. The caller holds the
/// locks of data folder and log, so that nobody else can be using that server.
///
/// # Errors
/// It does not end.
pub async fn wait_for_leftover(data: &Path) -> anyhow::Result<()> {
    wait_for_leftover_of(Path::new(PROCESSES), data).await
}

async fn wait_for_leftover_of(processes: &Path, data: &Path) -> anyhow::Result<()> {
    let file = process_file(data);
    let Some(process) = read(&file) else { return Ok(()) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_late = Instant::now() > deadline;
        match found(processes, process, &config_file(data)) {
            Found::Nothing => break,
            Found::Ours if is_late => {
                anyhow::bail!("a nats-server of an earlier start (process {}) does not end", process.as_raw_pid());
            }
            Found::Ours => drop(kill_process(process, Signal::KILL)),
            Found::Ending if is_late => break,
            Found::Ending => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    let _absent_already = fs::remove_file(file);
    Ok(())
}

fn read(file: &Path) -> Option<Pid> {
    fs::read_to_string(file).ok()?.trim().parse().ok().and_then(Pid::from_raw)
}

fn found(processes: &Path, process: Pid, config: &Path) -> Found {
    let about = processes.join(process.as_raw_pid().to_string());
    let Ok(command) = fs::read(about.join("cmdline")) else { return Found::Nothing };
    if command.split(|byte| *byte == 0).any(|argument| is_path_to(&about, argument, config)) {
        Found::Ours
    } else if command.is_empty() && (is_running(&about) || threads(&about) > 1) {
        Found::Ending
    } else {
        Found::Nothing
    }
}

/// Whether an argument of a process, which may be relative to its folder, names the file.
fn is_path_to(about: &Path, argument: &[u8], file: &Path) -> bool {
    let Ok(argument) = std::str::from_utf8(argument) else { return false };
    let named = Path::new(argument.strip_prefix("--config=").unwrap_or(argument));
    let place = fs::read_link(about.join("cwd")).unwrap_or_default().join(named);
    named == file || place.canonicalize().is_ok_and(|place| file.canonicalize().is_ok_and(|file| place == file))
}

/// Whether the main thread is at work, as it is while it ends. Threads of the kernel, which have no command line either, sleep most
/// of the time.
fn is_running(about: &Path) -> bool {
    let stat = fs::read_to_string(about.join("stat")).unwrap_or_default();
    // The name before the state may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('R' | 'D'))
}

/// Those that have not ended, and the main one as long as nobody has asked how it ended.
fn threads(about: &Path) -> usize {
    fs::read_dir(about.join("task")).map_or(0, Iterator::count)
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
        let config = config_file(folder.path());
        fs::write(&config, "").unwrap();
        // By its whole path, and as a person names it who stands in the folder.
        for named in [config.as_os_str(), config.file_name().unwrap()] {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "read forever", "sh"]).arg(named).current_dir(folder.path());
            let mut leftover = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
            fs::write(process_file(folder.path()), leftover.id().to_string()).unwrap();
            let reaper = std::thread::spawn(move || leftover.wait().unwrap());
            wait_for_leftover(folder.path()).await.unwrap();
            assert!(!reaper.join().unwrap().success(), "{}", named.display());
        }
    }

    /// As the kernel shows a process of two threads whose main one has ended.
    fn ending(processes: &Path, process: u32) -> std::path::PathBuf {
        let about = processes.join(process.to_string());
        for thread in [process, process + 1] {
            fs::create_dir_all(about.join("task").join(thread.to_string())).unwrap();
        }
        fs::write(about.join("cmdline"), "").unwrap();
        fs::write(about.join("stat"), format!("{process} (a ) R (b) Z 1 1")).unwrap();
        about
    }

    #[tokio::test(start_paused = true)]
    async fn a_leftover_is_waited_for_until_its_last_thread_has_ended() {
        let (data, processes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(process_file(data.path()), "77").unwrap();
        let about = ending(processes.path(), 77);
        let waiting = wait_for_leftover_of(processes.path(), data.path());
        tokio::pin!(waiting);
        for _ in 0..10 {
            let ended = tokio::time::timeout(PAUSE, &mut waiting).await;
            assert!(ended.is_err(), "one thread has not ended");
        }
        fs::remove_dir(about.join("task/78")).unwrap();
        waiting.await.unwrap();
    }

    #[test]
    fn a_last_thread_that_is_ending_is_not_gone() {
        let (data, processes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let about = ending(processes.path(), 77);
        fs::remove_dir(about.join("task/78")).unwrap();
        for (state, expected) in
            [("R", Found::Ending), ("D", Found::Ending), ("Z", Found::Nothing), ("I", Found::Nothing)]
        {
            fs::write(about.join("stat"), format!("77 (nats-server) {state} 1 1")).unwrap();
            let process = Pid::from_raw(77).unwrap();
            assert_eq!(found(processes.path(), process, &config_file(data.path())), expected, "{state}");
        }
    }

    #[tokio::test]
    async fn what_is_dead_and_not_yet_asked_for_is_not_waited_for() {
        let (data, processes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(process_file(data.path()), "77").unwrap();
        let about = ending(processes.path(), 77);
        fs::remove_dir(about.join("task/78")).unwrap();
        wait_for_leftover_of(processes.path(), data.path()).await.unwrap();
    }
}
