//! Runs seeds of the simulation: `cargo run --release -p protocol --example simulate -- --seeds N --from S`, and tells the
//! story of one seed with `--tell S`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--tell") {
        return tell(seed);
    }
    let from = number("--from").unwrap_or(0);
    let seeds = number("--seeds").unwrap_or(10_000);
    let mut failed = 0;
    for seed in from..from + seeds {
        if let Err(violation) = protocol::simulation::run(seed) {
            println!("seed {seed}: {violation}");
            println!("its story: cargo run --release -p protocol --example simulate -- --tell {seed}");
            failed += 1;
            if failed == MOST_FAILURES {
                return ExitCode::FAILURE;
            }
        }
    }
    if failed > 0 {
        return ExitCode::FAILURE;
    }
    println!("{seeds} seeds from {from}: every history agrees with the naive fold");
    ExitCode::SUCCESS
}

/// After so many seeds that went wrong the rest has nothing to add.
const MOST_FAILURES: u32 = 5;

fn tell(seed: u64) -> ExitCode {
    let (story, outcome) = protocol::simulation::tell(seed);
    story.iter().for_each(|line| println!("{line}"));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
