//! `cargo xtask test`: everything that must hold before a change is good. Nothing is skipped; what a test needs is got
//! first, and where that fails the task fails with a sentence that says what to install.

mod stream;
mod tally;

use std::{
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    documented, layers,
    root::root,
    run::{Outcome, cargo, run},
    tools::{cassandra, compose, nats_cli, nats_server},
};
use tally::Tally;

/// Runs all steps in order and stops at the first that fails; the tests themselves all run, whichever fails.
pub fn test() -> Outcome {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    let outcome = all(&mut steps, &mut tally);
    steps.print();
    tally.print_slowest();
    println!("{} passed, {} failed", tally.passed, tally.failed);
    outcome
}

fn all(steps: &mut Steps, tally: &mut Tally) -> Outcome {
    let nats_server = steps.time("nats-server", nats_server::ensure)?;
    let cli = thread::spawn(nats_cli::ensure);
    let jars = thread::spawn(cassandra::ensure);
    let compose = thread::spawn(compose::ensure);
    steps.time("format", || run(&mut cargo_step(&["fmt", "--all", "--check"])))?;
    steps.time("layers", || layers::check(&root()))?;
    steps.time("variables", || documented::check(&root()))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps.time("clippy", || run(&mut cargo_step(&clippy)))?;
    steps.time("build tests", || run(&mut cargo_step(&["test", "--workspace", "--no-run"])))?;
    let nats_cli = steps.time("nats CLI", || join(cli))?;
    let jars = steps.time("Cassandra", || join(jars))?;
    let compose = steps.time("Docker Compose", || join(compose))?;
    let mut tests = cargo_step(&["test", "--workspace", "--no-fail-fast"]);
    tests.env("SALDO_NATS_SERVER", nats_server).env("SALDO_NATS_CLI", nats_cli);
    tests.env("SALDO_CASSANDRA_JARS", jars).env("SALDO_COMPOSE", compose);
    steps.time("tests", || stream::run(&mut tests, tally))?;
    tally.verdict()
}

fn join(getting: thread::JoinHandle<Outcome<PathBuf>>) -> Outcome<PathBuf> {
    getting.join().unwrap_or_else(|_| Err("getting a tool ended unexpectedly".to_owned()))
}

/// Cargo as the steps use it: on a machine that builds once, incremental files only cost time and disk.
fn cargo_step(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// How long each step took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        println!("== {name}");
        let start = Instant::now();
        let outcome = step();
        self.0.push((name, start.elapsed()));
        outcome
    }

    fn print(&self) {
        println!("\nsteps:");
        for (name, duration) in &self.0 {
            println!("{:>8.1} s  {name}", duration.as_secs_f64());
        }
    }
}
