//! Developer tasks: `cargo xtask up`, `cargo xtask test` and the rest. Standard library only, so that it builds in
//! seconds on a machine that has nothing yet.

mod bench;
mod chaos;
mod doctor;
mod documented;
mod executable;
mod layers;
mod root;
mod run;
mod simulate;
mod test;
mod tools;
mod up;

use std::process::ExitCode;

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
  doctor                list the tools that are needed: found, or how to get them";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match task.as_str() {
        "up" => up::up(&rest),
        "test" => test::test(),
        "layers" => layers::check(&root::root()).and_then(|()| documented::check(&root::root())),
        "simulate" => simulate::simulate(&rest),
        "bench" => bench::bench(&rest),
        "chaos" => chaos::chaos(&rest),
        "doctor" => doctor::doctor(),
        _ => return usage_error(USAGE),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}
