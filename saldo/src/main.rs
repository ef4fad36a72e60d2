//! Saldo: one binary for the whole pipeline, for one service of it, and for the operator. Only dispatches.

mod address;
mod bulk_threads;
mod cli;
mod cql_store;
mod demo;
mod environment;
mod failure;
mod health;
mod log;
mod log_loss;
mod log_name;
mod nats_client;
mod nats_server;
mod one_service;
mod schema;
mod signals;
mod telemetry;
mod up;
mod zone;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, LogCommand, SchemaCommand};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match environment::check(std::env::vars_os()).and_then(|()| run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            failure::tell(&problem);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(arguments) => up::up(&arguments),
        Command::Ingest(arguments) => one_service::ingest(&arguments),
        Command::Aggregator(arguments) => one_service::aggregator(&arguments),
        Command::Query(arguments) => one_service::query(&arguments),
        Command::Schema(SchemaCommand::Apply) => schema::apply(),
        Command::Log(LogCommand::Apply(arguments)) => log::apply(&arguments),
        Command::Log(LogCommand::Restored(arguments)) => log_name::restored(&arguments),
        Command::Log(LogCommand::RaiseEpoch(arguments)) => log_name::raise_epoch(&arguments),
        Command::Log(LogCommand::AcceptLoss(arguments)) => log_loss::accept_loss(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Health(arguments) => health::health(&arguments),
        Command::Zone(arguments) => zone::print_versions(&arguments),
        Command::ExecChild(arguments) => nats_server::exec_child(&arguments),
    }
}
