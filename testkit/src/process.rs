//! A child process that keeps its output and ends with its value.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::{spawner, wait::wait_until};

/// Most lines of output that are kept; older ones are dropped.
const MAX_LINES: usize = 10_000;
/// Most bytes of one line that are kept.
const MAX_LINE_BYTES: u64 = 16 * 1024;
/// How long the last words of an ended process may take to be read. Not for ever: children of its own that outlive it hold
/// its output open.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// A running program. Killed when dropped, and by the system when the test process ends.
#[derive(Debug)]
pub struct ChildProcess {
    name: String,
    child: Child,
    output: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl ChildProcess {
    /// Starts a program; its standard output and error are kept, its input is empty unless the command says otherwise.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawner::spawn(command).with_context(|| format!("cannot start {name}"))?;
        let output = Arc::new(Mutex::new(VecDeque::new()));
        let stdout = child.stdout.take().map(|pipe| keep_lines(pipe, Arc::clone(&output)));
        let stderr = child.stderr.take().map(|pipe| keep_lines(pipe, Arc::clone(&output)));
        Ok(Self { name, child, output, readers: stdout.into_iter().chain(stderr).collect() })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its output.
    pub fn output(&self) -> String {
        let lines = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Waits for a line that contains `text` and returns the first.
    ///
    /// # Errors
    /// With all output, when there is none in time or the process ends without one.
    pub fn wait_for_line(&mut self, text: &str, within: Duration) -> anyhow::Result<String> {
        let found = wait_until(&format!("the line {text:?} of {}", self.name), within, || {
            // Ended only when its last words have been read.
            let ended = self.readers.iter().all(JoinHandle::is_finished)
                && self.child.try_wait().is_ok_and(|status| status.is_some());
            let line = self.line_with(text);
            (line.is_some() || ended).then_some(line)
        });
        match found {
            Ok(Some(line)) => Ok(line),
            Ok(None) => bail!("{} ended without the line {text:?}:\n{}", self.name, self.output()),
            Err(error) => Err(error.context(self.output())),
        }
    }

    /// Waits for the end, and for its last words.
    ///
    /// # Errors
    /// With all output, when it has not ended in time.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let child = &mut self.child;
        let ended = wait_until(&format!("the end of {}", self.name), within, || child.try_wait().transpose());
        let status = ended.with_context(|| self.output())?.context("cannot wait for the process")?;
        let are_read = || self.readers.iter().all(JoinHandle::is_finished).then_some(());
        drop(wait_until("its last words", LAST_WORDS_WITHIN, are_read));
        Ok(status)
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGTERM: asks it to end.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGINT: what Ctrl-C sends.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn interrupt(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::INT)
    }

    /// SIGSTOP: when this returns it stands still and answers nothing; its connections stay open.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        // The signal takes effect a little later.
        waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED)?;
        Ok(())
    }

    /// SIGCONT: it goes on after [`ChildProcess::pause`].
    ///
    /// # Errors
    /// When it has already ended.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it is not gone in time.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.wait(GONE_WITHIN).map(drop)
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.try_wait()?.is_none(), "{} has already ended:\n{}", self.name, self.output());
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn line_with(&self, text: &str) -> Option<String> {
        let lines = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(text)).cloned()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads to the end in a thread of its own, so that the child never waits for a full pipe.
fn keep_lines(pipe: impl Read + Send + 'static, output: Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut lines = output.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(text);
            drop(lines);
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ChildProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ChildProcess::spawn(command).unwrap()
    }

    #[test]
    fn output_is_kept_and_the_end_is_seen() {
        let mut child = shell("echo to out; echo to err >&2; exit 3");
        assert_eq!(child.wait_for_line("err", Duration::from_secs(10)).unwrap(), "to err");
        assert_eq!(child.wait(Duration::from_secs(10)).unwrap().code(), Some(3));
        let error = child.wait_for_line("never", Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("to out"), "{error}");
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let child = shell("exec sleep 600");
        let pid = Pid::from_child(&child.child);
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it() {
        let mut child = std::thread::spawn(|| shell("echo up; exec sleep 600")).join().unwrap();
        child.wait_for_line("up", Duration::from_secs(10)).unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        child.terminate().unwrap();
        assert!(!child.wait(Duration::from_secs(10)).unwrap().success());
    }
}
