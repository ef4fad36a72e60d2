//! `cargo xtask chaos`: breaks running pipelines for as long as one wants, round after round, says the seeds, and adds up
//! what callers saw.
//!
//! A round is one test of `e2e`, in a process of its own.

mod table;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    executable::executable,
    run::{Outcome, cargo, output, run, shown_failure},
    tools::{cassandra, nats_cli, nats_server},
};
use table::Table;

/// Where the rounds are among the tests.
const ROUNDS: &str = "chaos::scenario::";
const USAGE: &str = "usage: cargo xtask chaos [--minutes N | --rounds N] [--seed S] [--only NAME[:FAILURE,...]]";

/// What was asked for.
struct Plan {
    minutes: u64,
    rounds: u64,
    seed: u64,
    only: Option<String>,
}

impl Plan {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut plan = Self { minutes: 1, rounds: u64::MAX, seed: 1, only: None };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(USAGE)?;
            let number = || value.parse::<u64>().map_err(|_| USAGE.to_owned());
            match option.as_str() {
                "--minutes" => plan.minutes = number()?,
                "--rounds" => (plan.rounds, plan.minutes) = (number()?, u64::MAX / 60),
                "--seed" => plan.seed = number()?,
                "--only" => plan.only = Some(value.clone()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(plan)
    }
}

/// Runs rounds, one scenario after the other and each time with the next seed, until the time is over or one fails.
pub fn chaos(arguments: &[String]) -> Outcome {
    let plan = Plan::read(arguments)?;
    let tools = [
        ("SALDO_NATS_SERVER", nats_server::ensure()?),
        ("SALDO_NATS_CLI", nats_cli::ensure()?),
        ("SALDO_CASSANDRA_JARS", cassandra::ensure()?),
    ];
    let binary = build()?;
    let scenarios = scenarios(&binary, plan.only.as_deref())?;
    let until = Instant::now().checked_add(Duration::from_secs(plan.minutes.saturating_mul(60)));
    let mut table = Table::default();
    let mut outcome = Ok(());
    for (seed, scenario) in
        (plan.seed..).zip(scenarios.iter().cycle()).take(usize::try_from(plan.rounds).unwrap_or(usize::MAX))
    {
        outcome = round(&binary, &tools, scenario, seed, &mut table);
        if outcome.is_err() || until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
    }
    table.print();
    outcome
}

/// Builds what a round needs and says where the tests are.
fn build() -> Outcome<PathBuf> {
    run(&mut cargo(&["build", "--package", "saldo", "--bin", "saldo"]))?;
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo(&["test", "--package", "e2e", "--test", "it", "--no-run", format]);
    executable(&output(command.stderr(Stdio::inherit()))?).ok_or_else(|| "cargo named no executable".to_owned())
}

/// The names of all scenarios, or the one that is wanted, as it was asked for.
fn scenarios(binary: &Path, only: Option<&str>) -> Outcome<Vec<String>> {
    let listed = output(Command::new(binary).args(["--list", ROUNDS]))?;
    let names = listed.lines().filter_map(|line| line.strip_prefix(ROUNDS)?.strip_suffix(": test"));
    let names: Vec<String> = match only {
        None => names.map(str::to_owned).collect(),
        Some(only) => names.filter(|name| *name == parts(only).0).map(|_| only.to_owned()).collect(),
    };
    if names.is_empty() { Err("there is no such scenario".to_owned()) } else { Ok(names) }
}

/// A scenario's name, and those of its failures that are wanted where it has several: `machines:cql_rows_lost`.
fn parts(scenario: &str) -> (&str, Option<&str>) {
    scenario.split_once(':').map_or((scenario, None), |(name, failures)| (name, Some(failures)))
}

/// One round in a process of its own; its report goes into the table.
fn round(binary: &Path, tools: &[(&str, PathBuf)], scenario: &str, seed: u64, table: &mut Table) -> Outcome {
    println!("chaos: {scenario} with seed {seed}");
    let mut command = Command::new(binary);
    let (name, failures) = parts(scenario);
    command.args([&format!("{ROUNDS}{name}"), "--exact", "--nocapture"]).envs(tools.iter().cloned());
    command.envs(failures.map(|failures| ("SALDO_CHAOS_FAILURES", failures)));
    command.env("SALDO_CHAOS_SEED", seed.to_string()).env("SALDO_CHAOS_LONG", "1").stderr(Stdio::inherit());
    let said = command.output().map_err(|error| format!("cannot run {}: {error}", binary.display()))?;
    let text = String::from_utf8_lossy(&said.stdout);
    table.add(scenario, &text, said.status.success());
    if said.status.success() {
        return Ok(());
    }
    print!("{text}");
    Err(shown_failure(&format!("`cargo xtask chaos --only {scenario} --seed {seed} --rounds 1`"), said.status))
}
