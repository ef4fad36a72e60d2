//! The bench: Saldo beside its references, in one run on one machine. `cargo xtask bench` builds and runs it.
//!
//! Promise: it drives the shipped binary, started as a user starts it, over real sockets; every reference runs in the same
//! run and shares the same cores with the same generator; nothing is tuned for either side that is not said in the table.

mod arguments;
mod deployment;
mod edges;
mod figures;
mod http;
mod launches;
mod load;
mod machine;
mod metrics;
mod pipeline;
mod postgres;
mod report;
mod rows;
mod static_server;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Task};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Run(run) => rows::run(&run),
        Task::StaticServer { answer } => static_server::run(&answer),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
