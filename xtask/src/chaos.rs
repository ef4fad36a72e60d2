//! `cargo xtask chaos`: breaks running pipelines for as long as one wants, round after round, and says the seeds.

use crate::{
    run::{Outcome, cargo, run},
    tools::{nats_cli, nats_server},
};

/// The test that one round of is in `cargo xtask test`.
const ROUND: &str = "chaos::";

/// Runs rounds until the time is over or one fails.
pub fn chaos(arguments: &[String]) -> Outcome {
    let mut minutes = 1;
    let mut seed = 1;
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().and_then(|text| text.parse::<u64>().ok());
        match (option.as_str(), value) {
            ("--minutes", Some(value)) => minutes = value,
            ("--seed", Some(value)) => seed = value,
            _ => return Err("usage: cargo xtask chaos [--minutes N] [--seed S]".to_owned()),
        }
    }
    let (nats_server, nats_cli) = (nats_server::ensure()?, nats_cli::ensure()?);
    let mut rounds = cargo(&["test", "--workspace", "--test", "it", ROUND, "--", "--nocapture"]);
    rounds.env("SALDO_NATS_SERVER", nats_server).env("SALDO_NATS_CLI", nats_cli);
    rounds.env("SALDO_CHAOS_SEED", seed.to_string()).env("SALDO_CHAOS_SECONDS", minutes.saturating_mul(60).to_string());
    run(&mut rounds)
}
