//! Runs seeds of the simulation: `cargo run --release -p protocol --example simulate -- --seeds N --from S`, of all worlds
//! or with `--only fold`, `--only ingest` or `--only origin` of one of them, and tells the story of one seed with `--only WORLD --tell S`.

use std::process::ExitCode;

use protocol::simulation::{self, Violation, ingest, origin};

/// After so many seeds that went wrong the rest has nothing to add.
const MOST_FAILURES: u32 = 5;

/// What happened, and whether that was right.
type Story = (Vec<String>, Result<(), Violation>);

/// A simulated world.
struct World {
    name: &'static str,
    run: fn(u64) -> Result<(), Violation>,
    tell: fn(u64) -> Story,
}

const WORLDS: [World; 3] = [
    World { name: "fold", run: simulation::run, tell: simulation::tell },
    World { name: "ingest", run: ingest::run, tell: ingest::tell },
    World { name: "origin", run: origin::run, tell: origin::tell },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let only = text("--only");
    let mut worlds = WORLDS.iter().filter(|world| only.is_none_or(|only| only == world.name));
    if let Some(seed) = number("--tell") {
        return worlds.next().map_or_else(unknown, |world| tell(world, seed));
    }
    let (from, seeds) = (number("--from").unwrap_or(0), number("--seeds").unwrap_or(10_000));
    let worlds: Vec<&World> = worlds.collect();
    if worlds.is_empty() {
        return unknown();
    }
    // Every world, also after one that went wrong.
    let went_wrong = worlds.into_iter().filter(|world| !run(world, from, seeds)).count();
    if went_wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn unknown() -> ExitCode {
    println!("there is no such world: {}", WORLDS.map(|world| world.name).join(", "));
    ExitCode::FAILURE
}

fn run(world: &World, from: u64, seeds: u64) -> bool {
    let mut failed = 0;
    for seed in from..from.saturating_add(seeds) {
        if let Err(violation) = (world.run)(seed) {
            println!("{} seed {seed}: {violation}", world.name);
            let command = "cargo run --release -p protocol --example simulate --";
            println!("its story: {command} --only {} --tell {seed}", world.name);
            failed += 1;
            if failed == MOST_FAILURES {
                return false;
            }
        }
    }
    if failed == 0 {
        println!("{}: {seeds} seeds from {from}: every history agrees with the naive model", world.name);
    }
    failed == 0
}

fn tell(world: &World, seed: u64) -> ExitCode {
    let (story, outcome) = (world.tell)(seed);
    story.iter().for_each(|line| println!("{line}"));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
