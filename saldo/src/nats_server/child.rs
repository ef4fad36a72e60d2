//! One life of nats-server.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{ServerSettings, last_words::last_words, ready};

/// How long loading the streams may take: a log of many gigabytes is read through at the start after a crash.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// How long it may take to stop when asked; then it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// A running nats-server.
pub struct ServerProcess {
    child: Child,
    process_file: PathBuf,
}

impl ServerProcess {
    /// Starts it and waits until it answers. The thread that calls this must live as long as the child shall: the kernel
    /// kills the child when that thread ends.
    pub async fn start(settings: &ServerSettings) -> anyhow::Result<Self> {
        settings.write().with_context(|| format!("cannot write to {}", settings.data.display()))?;
        let child = command(settings).and_then(|mut command| command.spawn()).context("cannot start nats-server")?;
        let mut process = Self { child, process_file: settings.process_file() };
        process.note_id()?;
        process.wait_until_ready(settings).await?;
        Ok(process)
    }

    fn note_id(&self) -> anyhow::Result<()> {
        let id = self.child.id().unwrap_or_default();
        fs::write(&self.process_file, id.to_string()).context("cannot note the process id of nats-server")
    }

    async fn wait_until_ready(&mut self, settings: &ServerSettings) -> anyhow::Result<()> {
        let name = settings.server_name();
        tokio::select! {
            () = ready::answers(settings.address, &name) => Ok(()),
            status = self.child.wait() => {
                anyhow::bail!("nats-server does not start ({}): {}", status?, last_words(settings))
            }
            () = tokio::time::sleep(START_PATIENCE) => {
                anyhow::bail!("nats-server does not answer on {} after {START_PATIENCE:?}", settings.address)
            }
        }
    }

    /// Returns when it has ended by itself.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to stop, waits, and kills it if it does not.
    pub async fn stop(mut self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ended_already = kill_process(id, Signal::TERM);
        }
        if timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            tracing::warn!("nats-server did not stop when asked and is killed");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(%error, "nats-server could not be killed");
            }
        }
        let _absent_already = fs::remove_file(&self.process_file);
    }
}

/// Our own binary, which binds itself to this thread's life and then becomes nats-server. A process group of its own
/// keeps a Ctrl-C in the terminal from reaching it before ingest has drained.
fn command(settings: &ServerSettings) -> std::io::Result<Command> {
    let mut command = Command::new(own_binary());
    command.arg("exec-child").arg("--parent").arg(std::process::id().to_string());
    command.arg("--lock").arg(settings.store_folder()).arg("--");
    command.arg(&settings.program).arg("--config").arg(settings.config_file());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(settings.early_file())?);
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

/// On Linux by a name that stays right when the file is replaced while we run.
fn own_binary() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or_else(|_| PathBuf::from("saldo")) }
}
