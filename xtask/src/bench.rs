//! `cargo xtask bench`: the crates' speed examples, one after the other. The comparison with other systems in one run
//! is not part of it yet.

use crate::{
    root::root,
    run::{Outcome, cargo, run},
    tools::nats_server,
};

/// Crate and example, from the pure core outwards.
const EXAMPLES: &[(&str, &str)] = &[
    ("ledger", "parse_speed"),
    ("ledger", "window_memory"),
    ("nats", "publisher_speed"),
    ("nats", "reader_speed"),
    ("store", "embedded_speed"),
];

/// Runs every example that exists and says which do not.
pub fn bench() -> Outcome {
    let server = nats_server::ensure()?;
    let mut failures = Vec::new();
    for (package, example) in EXAMPLES {
        println!("\n## {package}: {example}");
        if !exists(package, example) {
            println!("not there yet");
            continue;
        }
        let mut command = cargo(&["run", "--quiet", "--release", "--package", package, "--example", example]);
        failures.extend(run(command.env("SALDO_NATS_SERVER", &server)).err());
    }
    println!(
        "\nThese are parts by themselves; a comparison of the whole pipeline with other systems is not there yet."
    );
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn exists(package: &str, example: &str) -> bool {
    let examples = root().join(package).join("examples");
    examples.join(format!("{example}.rs")).is_file() || examples.join(example).join("main.rs").is_file()
}
