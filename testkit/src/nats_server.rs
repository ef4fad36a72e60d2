//! A NATS server with JetStream, as production runs it: every message is synced before it is acknowledged.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use tempfile::TempDir;

use crate::{binaries::nats_server_binary, ports::free_port, process::ChildProcess, temp_folder, wait::wait_until};

/// How long a server may take until it answers; starting over a large store takes longer than over an empty one.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long one look at it may take.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often another port is tried when somebody else took the one that was free a moment ago.
const PORT_ATTEMPTS: usize = 5;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct NatsServerOptions {
    port: Option<u16>,
    store_dir: Option<PathBuf>,
    max_payload_bytes: Option<usize>,
    max_file_store_bytes: Option<u64>,
    sync_always: bool,
    extra: String,
    config_file: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Default for NatsServerOptions {
    fn default() -> Self {
        Self {
            port: None,
            store_dir: None,
            max_payload_bytes: None,
            max_file_store_bytes: None,
            sync_always: true,
            extra: String::new(),
            config_file: None,
            environment: Vec::new(),
        }
    }
}

impl NatsServerOptions {
    /// Listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Keeps its data in this folder, which is not removed, instead of a temporary one.
    pub fn store_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(folder.into());
        self
    }

    /// The longest message that it takes, in bytes.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload_bytes = Some(bytes);
        self
    }

    /// Most bytes of all streams together.
    pub fn max_file_store(mut self, bytes: u64) -> Self {
        self.max_file_store_bytes = Some(bytes);
        self
    }

    /// Acknowledges before the data is synced: for tests that need many messages and survive no outage.
    pub fn without_sync(mut self) -> Self {
        self.sync_always = false;
        self
    }

    /// Lines added to the configuration.
    pub fn extra_config(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self.extra.push('\n');
        self
    }

    /// Uses this configuration file: only the address is given on the command line; where its data go is the file's affair
    /// (see [`NatsServerOptions::env`]).
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config_file = Some(file.into());
        self
    }

    /// A variable of the server's environment: configuration files may refer to them.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When there is no nats-server (with the remedy), or with its output when it does not come up.
    pub fn start(self) -> anyhow::Result<NatsServer> {
        let mut attempt = 1;
        loop {
            match NatsServer::start_once(self.clone()) {
                Err(error) if self.port.is_none() && attempt < PORT_ATTEMPTS && is_port_taken(&error) => attempt += 1,
                outcome => return outcome,
            }
        }
    }
}

/// A running server. Killed with the value and with the test process.
#[derive(Debug)]
pub struct NatsServer {
    options: NatsServerOptions,
    port: u16,
    folder: TempDir,
    process: Option<ChildProcess>,
}

impl NatsServer {
    /// Starts a server on a free port with a temporary store.
    ///
    /// # Errors
    /// As [`NatsServerOptions::start`].
    pub fn start() -> anyhow::Result<Self> {
        Self::options().start()
    }

    /// A server with other options.
    pub fn options() -> NatsServerOptions {
        NatsServerOptions::default()
    }

    fn start_once(options: NatsServerOptions) -> anyhow::Result<Self> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let mut server = Self { options, port, folder: temp_folder()?, process: None };
        server.bring_up()?;
        Ok(server)
    }

    /// The client address: `nats://127.0.0.1:<port>`; the same across restarts.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its data.
    pub fn store_dir(&self) -> PathBuf {
        self.options.store_dir.clone().unwrap_or_else(|| self.folder.path().join("store"))
    }

    /// Its process id; 0 while it is down.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, ChildProcess::id)
    }

    /// The last lines of its log.
    pub fn output(&self) -> String {
        self.process.as_ref().map(ChildProcess::output).unwrap_or_default()
    }

    /// SIGKILL: it is gone when this returns, its data stay.
    ///
    /// # Errors
    /// When it does not go.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// SIGTERM, and waits for its orderly end; its data stay.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.terminate()?;
        process.wait(READY_WITHIN).map(drop)
    }

    /// Starts it again on the same port over the same data (killing it first if it runs) and waits until it answers.
    ///
    /// # Errors
    /// As [`NatsServerOptions::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.bring_up()
    }

    /// SIGSTOP: it stands still, connections stay open.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop_signal(&mut self) -> anyhow::Result<()> {
        self.running()?.pause()
    }

    /// SIGCONT: it goes on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn continue_signal(&mut self) -> anyhow::Result<()> {
        self.running()?.resume()
    }

    fn running(&mut self) -> anyhow::Result<&mut ChildProcess> {
        self.process.as_mut().context("the NATS server does not run")
    }

    fn bring_up(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(nats_server_binary()?);
        command.arg("--config").arg(self.config_file()?).envs(self.options.environment.iter().cloned());
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string()]);
        let mut process = ChildProcess::spawn(command)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let up = wait_until("the NATS server's greeting", READY_WITHIN, || {
            let ended = process.try_wait().is_ok_and(|status| status.is_some());
            (ended || greets(address)).then_some(!ended)
        });
        anyhow::ensure!(up.is_ok_and(|up| up), "the NATS server did not come up:\n{}", process.output());
        self.process = Some(process);
        Ok(())
    }

    fn config_file(&self) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.options.config_file {
            return Ok(file.clone());
        }
        let file = self.folder.path().join("nats-server.conf");
        fs::write(&file, config(&self.options, &self.store_dir()))
            .context("cannot write the server's configuration")?;
        Ok(file)
    }
}

fn config(options: &NatsServerOptions, store_dir: &Path) -> String {
    let sync = if options.sync_always { "sync_interval: always" } else { "" };
    let max_file = options.max_file_store_bytes.map(|bytes| format!("max_file_store: {bytes}")).unwrap_or_default();
    let max_payload = options.max_payload_bytes.map(|bytes| format!("max_payload: {bytes}")).unwrap_or_default();
    let store_dir = store_dir.display();
    format!("jetstream {{\n store_dir: \"{store_dir}\"\n {sync}\n {max_file}\n}}\n{max_payload}\n{}\n", options.extra)
}

/// Clients are let in only after JetStream has recovered its streams: a greeting means ready.
fn greets(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, LOOK_TIMEOUT) else { return false };
    let mut line = String::new();
    stream.set_read_timeout(Some(LOOK_TIMEOUT)).is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with("INFO ")
}

fn is_port_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_kill_and_restart_on_the_same_address() {
        let mut server = NatsServer::start().unwrap();
        let (url, first) = (server.url(), server.id());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        server.kill().unwrap();
        assert!(!greets(address));
        server.restart().unwrap();
        assert!(greets(address));
        assert_eq!(server.url(), url);
        assert_ne!(server.id(), first);
    }

    #[test]
    fn a_stopped_server_answers_again_after_continue() {
        let mut server = NatsServer::start().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        server.stop_signal().unwrap();
        assert!(!greets(address));
        server.continue_signal().unwrap();
        wait_until("the server's greeting", READY_WITHIN, || greets(address).then_some(())).unwrap();
    }

    #[test]
    fn a_server_that_cannot_start_says_why() {
        let error = NatsServer::options().extra_config("nonsense {").start().unwrap_err().to_string();
        assert!(error.contains("did not come up"), "{error}");
    }
}
