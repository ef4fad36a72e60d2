//! What it was measured on and with.

use std::{fs, path::Path, process::Command};

use serde::Serialize;

/// The machine and the versions.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    saldo: String,
    nats_server: String,
    postgres: String,
}

impl Machine {
    /// Asks the system and the programs.
    pub fn look(saldo: &Path, postgres: Option<&Path>) -> Self {
        let nats_server = testkit::nats_server_binary().map_or_else(|_| "absent".to_owned(), |file| version(&file));
        Self {
            processor: value_in("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib(&value_in("/proc/meminfo", "MemTotal")) / 1_024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            saldo: version(saldo),
            nats_server,
            postgres: postgres.map_or_else(|| "not used".to_owned(), |folder| version(&folder.join("postgres"))),
        }
    }

    /// Sentences for the head of the table.
    pub fn describe(&self) -> String {
        let Self { processor, cores, memory_mib, kernel, saldo, nats_server, postgres } = self;
        format!(
            "Machine: {processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}; the load is made on the same cores.\n\
             Versions: {saldo}; {nats_server}; PostgreSQL: {postgres}.\n\
             Durability: nats-server syncs every message before it acknowledges (sync_interval: always); PostgreSQL as \
             Debian ships it (fsync, synchronous_commit on); Cassandra 5.0.8 as it ships (one node, one copy, commit log \
             synced every 10 s: the log is what is durable).\n"
        )
    }
}

fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output();
    let text = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

fn value_in(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned());
    found.next().unwrap_or_else(|| "unknown".to_owned())
}

fn kib(text: &str) -> u64 {
    text.trim_end_matches(" kB").parse().unwrap_or(0)
}
