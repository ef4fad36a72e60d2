//! Developer tasks: `cargo xtask up`, `cargo xtask test` and the rest. Standard library only, so that it builds in
//! seconds on a machine that has nothing yet.

mod bench;
mod chaos;
mod doctor;
mod documented;
mod executable;
mod layers;
mod nearest;
mod root;
mod run;
mod simulate;
mod test;
mod tools;
mod up;

use std::{ffi::OsString, process::ExitCode};

const USAGE: &str = "usage: cargo xtask <task> [arguments]

  up [arguments]        get nats-server if there is none, build Saldo, run `saldo up` with the arguments
  test                  format, clippy, layers, then every test
  layers                check that dependencies point down, that the pure crates are pure, and that every variable is
                        documented
  simulate [arguments]  drive the write and read protocol with seeds of your choice
  bench [arguments]     measure Saldo beside its references: [--cluster] [--quick] [--only ROW]… [--seed S] [--partitions P]
                        [--json FILE]; rows: singles, bulk, replay, reads, visible, memory; of --cluster:
                        cql-bulk-many, cql-bulk-few, cql-replay, cql-aggregators, cql-takeover, cluster-bulk,
                        cluster-singles;
                        --parts runs the speed examples of the crates instead
  chaos [arguments]     kill, stop and pause parts of running pipelines: [--minutes N | --rounds N] [--seed S]
                        [--only NAME[:FAILURE,...]]
  doctor                list the tools that are needed: found, or how to get them
  help                  print this";

/// The words that name tasks.
const TASKS: [&str; 8] = ["up", "test", "layers", "simulate", "bench", "chaos", "doctor", "help"];

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, OsString> = std::env::args_os().skip(1).map(OsString::into_string).collect();
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(argument) => return failed(&format!("the argument {} is not UTF-8", argument.display())),
    };
    let Some((task, rest)) = arguments.split_first() else { return usage_error("no task is named") };
    let outcome = match task.as_str() {
        "up" => up::up(rest),
        "test" => no_more(task, rest).and_then(|()| test::test()),
        "layers" => no_more(task, rest)
            .and_then(|()| layers::check(&root::root()))
            .and_then(|()| documented::check(&root::root())),
        "simulate" => simulate::simulate(rest),
        "bench" => bench::bench(rest),
        "chaos" => chaos::chaos(rest),
        "doctor" => no_more(task, rest).and_then(|()| doctor::doctor()),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        unknown => {
            let hint = nearest::of(unknown, &TASKS).map(|task| format!("; did you mean {task}?")).unwrap_or_default();
            return usage_error(&format!("there is no task {unknown:?}{hint}"));
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&problem),
    }
}

/// For tasks that take no arguments: one that is passed over might have been meant to change something.
fn no_more(task: &str, rest: &[String]) -> run::Outcome {
    match rest.first() {
        None => Ok(()),
        Some(argument) => Err(format!("`cargo xtask {task}` takes no arguments, and {argument:?} is one")),
    }
}

fn failed(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::FAILURE
}

fn usage_error(problem: &str) -> ExitCode {
    eprintln!("error: {problem}\n\n{USAGE}");
    ExitCode::from(2)
}
