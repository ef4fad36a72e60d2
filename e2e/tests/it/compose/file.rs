//! The file as Compose understands it.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use serde_json::Value;

/// A password for each variable that must be set. The first is of digits only, which nats-server would take for a number.
pub const PASSWORDS: [(&str, &str); 5] = [
    ("SALDO_NATS_INGEST_PASSWORD", "20261122"),
    ("SALDO_NATS_AGGREGATOR_PASSWORD", "of-the-aggregator"),
    ("SALDO_NATS_QUERY_PASSWORD", "of-the-query"),
    ("SALDO_NATS_OPERATOR_PASSWORD", "of-the-operator"),
    ("SALDO_NATS_ROUTE_PASSWORD", "of-the-routes"),
];

/// What `config` prints.
#[derive(Debug)]
pub struct ComposeFile(Value);

/// What must have happened before a service starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Healthy,
    Ended,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub image: String,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    /// The command that tells whether it is healthy; a shell's where the file says so.
    pub health: Option<Vec<String>>,
    /// Services that come before it; those that are not in the profile are left out.
    pub waits_for: Vec<(String, Condition)>,
    /// All of it.
    pub raw: Value,
}

impl ComposeFile {
    /// Reads `docker-compose.yml` with passwords and more variables, as Compose would run it.
    pub fn read(variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let text = config(&PASSWORDS.into_iter().chain(variables.iter().copied()).collect::<Vec<_>>())?;
        Ok(Self(serde_json::from_str(&text).context("Compose prints JSON")?))
    }

    /// The services, each behind those that it waits for.
    pub fn services(&self) -> anyhow::Result<Vec<Service>> {
        let services = self.0["services"].as_object().context("there are services")?;
        let mut waiting: Vec<Service> = services.iter().map(|(name, raw)| service(name, raw, &self.0)).collect();
        let mut ordered: Vec<Service> = Vec::new();
        while !waiting.is_empty() {
            let is_next = |service: &Service| {
                let is_there = |(name, _): &(String, _)| ordered.iter().any(|before| before.name == *name);
                service.waits_for.iter().all(is_there)
            };
            let next = waiting.iter().position(is_next).context("services wait for each other")?;
            ordered.push(waiting.remove(next));
        }
        Ok(ordered)
    }

    /// The file behind a config of the top level.
    pub fn config_file(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.0["configs"][name]["file"].as_str().map(PathBuf::from).with_context(|| format!("no config {name}"))
    }

    /// Whether a volume is declared.
    pub fn has_volume(&self, name: &str) -> bool {
        self.0["volumes"].get(name).is_some()
    }
}

/// What Compose makes of the file, or its complaint.
pub fn config(variables: &[(&str, &str)]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let environment = folder.path().join("environment");
    let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(&environment, lines)?;
    let mut command = Command::new(program()?);
    command.env_clear().env("HOME", folder.path()).current_dir(testkit::workspace_folder());
    command.arg("--env-file").arg(&environment).args(["config", "--format", "json"]);
    let output = command.output().context("cannot run Docker Compose")?;
    ensure!(output.status.success(), "Compose refuses the file: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// `SALDO_COMPOSE`, else the one that the developer tasks have built.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("SALDO_COMPOSE").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let entries = fs::read_dir(testkit::workspace_folder().join(".tools")).into_iter().flatten().flatten();
    let is_compose =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"docker-compose-"));
    entries.map(|entry| entry.path()).find(is_compose).context(
        "Docker Compose was not found: install Go 1.26.3 or later and run `cargo xtask test`, which builds it, or set \
         SALDO_COMPOSE",
    )
}

fn service(name: &str, raw: &Value, file: &Value) -> Service {
    let environment = raw["environment"].as_object().into_iter().flatten();
    let waits_for = raw["depends_on"].as_object().into_iter().flatten();
    let condition = |needed: &Value| match needed["condition"].as_str() {
        Some("service_completed_successfully") => Condition::Ended,
        _ => Condition::Healthy,
    };
    Service {
        name: name.to_owned(),
        image: raw["image"].as_str().unwrap_or_default().to_owned(),
        command: words(&raw["command"]),
        environment: environment.map(|(name, value)| (name.clone(), text(value))).collect(),
        health: health(&words(&raw["healthcheck"]["test"])),
        waits_for: waits_for
            .filter(|(name, needed)| needed["required"] == true || file["services"].get(name).is_some())
            .map(|(name, needed)| (name.clone(), condition(needed)))
            .collect(),
        raw: raw.clone(),
    }
}

/// The command behind `CMD`, or the shell's behind `CMD-SHELL`.
fn health(test: &[String]) -> Option<Vec<String>> {
    let (kind, words) = test.split_first()?;
    let shell = ["/bin/sh", "-c"].map(str::to_owned);
    match kind.as_str() {
        "CMD" => Some(words.to_vec()),
        _ => Some(shell.into_iter().chain(words.iter().cloned()).collect()),
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// What a container would get: `config` writes a dollar twice.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| text.replace("$$", "$"))
}
