//! A nats-server that is there before this start begins its own.
//!
//! One of a start before this one: after a kill -9 of Saldo the kernel ends it, which may take a moment. It is known by the name that
//! [`exec_child`](super::exec_child) gives it. Any other that works with the data folder was started by somebody who
//! needs it: it is left alone, and the start is refused, for two servers on one log damage it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    config::{config_file, process_file, store_folder},
    exec_child::CHILD_NAME,
};

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the system tells about its processes.
const PROCESSES: &str = "/proc";

/// How the program of a server is named.
const PROGRAM: &[u8] = b"nats-server";

/// What has the leftover's process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The nats-server with our configuration, started by Saldo.
    Ours,
    /// A process that has no command line any more, while one of its threads has not ended: most likely ours, and until the
    /// last of them has its port is taken.
    Ending,
    /// Nothing, or somebody else's process: ids are used again.
    Nothing,
}

/// Waits until the leftover, if there is one, has ended; kills it if the kernel has not. The caller holds the
/// locks of data folder and log, so that no other Saldo can be using that server.
///
/// # Errors
/// It does not end, or somebody else runs a nats-server on this folder.
pub async fn wait_for_leftover(data: &Path) -> anyhow::Result<()> {
    wait_for_leftover_of(Path::new(PROCESSES), data).await
}

async fn wait_for_leftover_of(processes: &Path, data: &Path) -> anyhow::Result<()> {
    let file = process_file(data);
    if let Some(process) = read(&file) {
        end(processes, process, data).await?;
        if foreign_server(processes, data) == u32::try_from(process.as_raw_pid()).ok() {
            // The system had only begun to run it, and it had no command line yet.
            end(processes, process, data).await?;
        }
    }
    if let Some(id) = foreign_server(processes, data) {
        anyhow::bail!(
            "a nats-server that this program did not start works with {} (process {id}): two on one log damage it; end it with \
             `kill {id}`, wait until it has ended, and start again",
            data.display()
        );
    }
    let _absent_already = fs::remove_file(file);
    Ok(())
}

async fn end(processes: &Path, process: Pid, data: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_late = Instant::now() > deadline;
        match found(processes, process, &config_file(data)) {
            Found::Nothing => return Ok(()),
            Found::Ours if is_late => {
                anyhow::bail!("a nats-server of an earlier start (process {}) does not end", process.as_raw_pid());
            }
            Found::Ours => drop(kill_process(process, Signal::KILL)),
            Found::Ending if is_late => return Ok(()),
            Found::Ending => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn read(file: &Path) -> Option<Pid> {
    fs::read_to_string(file).ok()?.trim().parse().ok().and_then(Pid::from_raw)
}

fn found(processes: &Path, process: Pid, config: &Path) -> Found {
    let about = processes.join(process.as_raw_pid().to_string());
    let Ok(command) = fs::read(about.join("cmdline")) else { return Found::Nothing };
    let arguments: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    let is_child = arguments.first() == Some(&CHILD_NAME.as_bytes());
    if is_child && names(&about, &arguments, config) {
        Found::Ours
    } else if command.is_empty() && (is_running(&about) || threads(&about) > 1) {
        Found::Ending
    } else {
        Found::Nothing
    }
}

/// A nats-server whose command line names the folder's configuration or its log.
fn foreign_server(processes: &Path, data: &Path) -> Option<u32> {
    let is_here = |id: &u32| {
        let about = processes.join(id.to_string());
        let command = fs::read(about.join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        let is_named = |place: &Path| names(&about, &arguments, place);
        is_server(&arguments) && (is_named(&config_file(data)) || is_named(&store_folder(data)))
    };
    let mut ids = fs::read_dir(processes).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.find(is_here)
}

fn is_server(arguments: &[&[u8]]) -> bool {
    let program = arguments.first().and_then(|program| Path::new(OsStr::from_bytes(program)).file_name());
    program.is_some_and(|name| name.as_bytes().starts_with(PROGRAM))
}

/// Whether an argument of a process names the file or folder.
fn names(about: &Path, arguments: &[&[u8]], place: &Path) -> bool {
    let canonical = place.canonicalize().ok();
    let named = |argument: &&[u8]| {
        let named = place_of(about, argument);
        named == place || (canonical.is_some() && named.canonicalize().ok() == canonical)
    };
    arguments.iter().any(named)
}

/// What an argument names, `--config=…` included; it may be relative to the folder of the process.
fn place_of(about: &Path, argument: &[u8]) -> PathBuf {
    let is_option = argument.starts_with(b"-");
    let value = argument.iter().position(|byte| *byte == b'=').filter(|_| is_option);
    let value = value.map_or(argument, |index| &argument[index + 1..]);
    fs::read_link(about.join("cwd")).unwrap_or_default().join(OsStr::from_bytes(value))
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
    use std::os::unix::process::CommandExt;

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
            command.arg0(CHILD_NAME).args(["-c", "read forever", "sh"]).arg(named).current_dir(folder.path());
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

    /// A process as the kernel shows it.
    fn shown(processes: &Path, command: &[&str]) {
        let about = processes.join("77");
        fs::create_dir_all(&about).unwrap();
        fs::write(about.join("cmdline"), command.join("\0")).unwrap();
    }

    #[tokio::test]
    async fn a_server_of_somebody_else_on_the_folder_is_named_and_nothing_else_is_in_the_way() {
        let (data, processes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(config_file(data.path()), "").unwrap();
        fs::create_dir(store_folder(data.path())).unwrap();
        let config = config_file(data.path()).display().to_string();
        let store = store_folder(data.path()).display().to_string();
        for (command, is_in_the_way) in [
            (vec!["nats-server", "-c", &config], true),
            (vec!["/opt/nats-server-v2", &format!("--config={config}")], true),
            (vec!["nats-server", "-js", "-sd", &store], true),
            (vec!["nats-server", "-c", "/etc/nats.conf"], false),
            (vec!["vi", &config], false),
            (vec![""], false),
        ] {
            shown(processes.path(), &command);
            // It has the id of a leftover by chance, or never had.
            for noted in ["77", "78"] {
                fs::write(process_file(data.path()), noted).unwrap();
                let waited = wait_for_leftover_of(processes.path(), data.path()).await;
                let refused = waited.err().map(|error| error.to_string());
                assert_eq!(refused.is_some(), is_in_the_way, "{command:?}: {refused:?}");
                assert!(refused.is_none_or(|refused| refused.contains("process 77")));
            }
        }
    }
}
