//! A running `saldo up`, on free ports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testkit::{ChildProcess, NatsServer, nats_server_binary, wait_until};

/// How long a start or a stop may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn saldo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saldo"));
    command.env_clear().env("SALDO_LOG", "info");
    command
}

/// `saldo up` on free ports over this folder, with more arguments.
pub fn up(data: &Path, more: &[&str]) -> Command {
    let mut command = saldo();
    command.arg("up").arg("--data").arg(data).arg("--nats-server").arg(nats_server_binary().unwrap());
    for option in ["--ingest", "--query", "--aggregator", "--nats"] {
        if !more.contains(&option) {
            command.args([option, "127.0.0.1:0"]);
        }
    }
    command.args(more);
    command
}

/// A pipeline that is up.
pub struct Pipeline {
    pub process: ChildProcess,
    pub data: PathBuf,
    pub ingest: String,
    pub query: String,
    pub aggregator: String,
    /// Without a scheme.
    pub nats: String,
}

impl Pipeline {
    /// Starts it and waits until it says that it is up.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more arguments.
    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        Self::of(ChildProcess::spawn(up(data, more)).unwrap(), data)
    }

    /// The pipeline of a process that was started over this folder, as soon as it says that it is up.
    pub fn of(mut process: ChildProcess, data: &Path) -> Self {
        process.wait_for_line("Saldo is up", PATIENCE).unwrap();
        let output = process.output();
        let address = |what: &str| {
            let line = output.lines().find(|line| line.starts_with(what)).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        let (ingest, query, aggregator) = (address("ingest "), address("query "), address("aggregator "));
        Self { data: data.to_path_buf(), ingest, query, aggregator, nats: address("nats-server "), process }
    }

    /// The id of the nats-server that runs now.
    pub fn nats_server(&self) -> u32 {
        fs::read_to_string(self.data.join("nats-server.pid")).unwrap().trim().parse().unwrap()
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub fn stop(mut self) {
        self.process.terminate().unwrap();
        let status = self.process.wait(PATIENCE).unwrap();
        assert!(status.success(), "{status}: {}", self.process.output());
    }
}

/// `saldo ingest` alone over this NATS, with these variables, as soon as it takes launches; and its address without a scheme.
pub fn ingest(nats: &NatsServer, variables: &[(&str, &str)]) -> (ChildProcess, String) {
    let servers = format!("127.0.0.1:{}", nats.port());
    assert!(saldo().args(["log", "apply", "--nats", &servers]).output().unwrap().status.success());
    let mut command = saldo();
    command.args(["ingest", "--ingest", "127.0.0.1:0", "--nats", &servers]).envs(variables.iter().copied());
    let mut process = ChildProcess::spawn(command).unwrap();
    let line = process.wait_for_line("address=", PATIENCE).unwrap();
    let address = line.rsplit_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    process.wait_for_line("the log takes messages", PATIENCE).unwrap();
    (process, address)
}

/// Whether a process runs (one that has ended and was not yet waited for does not).
pub fn runs(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(None | Some('Z' | 'X')))
}

/// Waits until a process has ended.
pub fn wait_for_end(process: u32) {
    wait_until("the end of a process", PATIENCE, || (!runs(process)).then_some(())).unwrap();
}

/// Runs a command to its end; its exit was bad, and this is what it said.
pub fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it should have been refused");
    let said = String::from_utf8(output.stderr).unwrap();
    let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(sentences.len(), 1, "one sentence is expected: {said}");
    sentences[0].to_owned()
}
