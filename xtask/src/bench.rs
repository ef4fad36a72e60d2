//! `cargo xtask bench`: Saldo beside its references; `--parts`: the crates' speed examples, one after the other.

use std::path::{Path, PathBuf};

use crate::{
    root::root,
    run::{Outcome, cargo, run},
    tools::{cassandra, nats_server, postgres},
    up,
};

/// Crate and example, from the pure core outwards.
const EXAMPLES: &[(&str, &str)] = &[
    ("ledger", "parse_speed"),
    ("ledger", "window_memory"),
    ("protocol", "fold_speed"),
    ("nats", "publisher_speed"),
    ("nats", "reader_speed"),
    ("store", "embedded_speed"),
    ("aggregator", "replay_speed"),
];

/// The profile that the image is built with.
const SHIPPED: &str = "dist";

/// The row that needs PostgreSQL.
const POSTGRES_ROW: &str = "singles";
/// All rows of a deployment on many machines, in place of the others.
const CLUSTER: &str = "--cluster";
/// How the names of those begin that need Cassandra.
const CASSANDRA_ROWS: &str = "cql-";

/// Builds Saldo and the bench as users get them, and runs the bench with the arguments.
pub fn bench(arguments: &[String]) -> Outcome {
    let server = nats_server::ensure()?;
    if arguments.iter().any(|argument| argument == "--parts") {
        return parts(&server);
    }
    let postgres = if needs_postgres(arguments) { Some(postgres::ensure()?) } else { None };
    let jars = if needs_cassandra(arguments) { Some(cassandra::ensure()?) } else { None };
    let saldo = up::build("saldo", SHIPPED)?;
    let program = up::build("bench", "release")?;
    let mut command = std::process::Command::new(program);
    command.arg("run").arg("--saldo").arg(saldo).arg("--json").arg(json_file(arguments)).args(without_json(arguments));
    if let Some(folder) = postgres {
        command.arg("--postgres").arg(folder);
    }
    if let Some(folder) = jars {
        command.env("SALDO_CASSANDRA_JARS", folder);
    }
    run(command.env("SALDO_NATS_SERVER", &server).current_dir(root()))
}

/// All rows need it, or the one that does is among those that are wanted.
fn needs_postgres(arguments: &[String]) -> bool {
    match wanted(arguments) {
        wanted if wanted.is_empty() => !is_cluster(arguments),
        wanted => wanted.contains(&POSTGRES_ROW),
    }
}

/// The rows of a cluster are wanted, or one of them that needs it.
fn needs_cassandra(arguments: &[String]) -> bool {
    match wanted(arguments) {
        wanted if wanted.is_empty() => is_cluster(arguments),
        wanted => wanted.iter().any(|row| row.starts_with(CASSANDRA_ROWS)),
    }
}

fn is_cluster(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == CLUSTER)
}

/// The rows that are named.
fn wanted(arguments: &[String]) -> Vec<&str> {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    pairs.filter(|(option, _)| *option == "--only").map(|(_, row)| row.as_str()).collect()
}

/// Where the figures go: what `--json` names, else beside what cargo builds.
fn json_file(arguments: &[String]) -> PathBuf {
    let named = arguments.iter().position(|argument| argument == "--json").and_then(|at| arguments.get(at + 1));
    named.map_or_else(|| root().join("target/bench.json"), PathBuf::from)
}

fn without_json(arguments: &[String]) -> Vec<&String> {
    let at = arguments.iter().position(|argument| argument == "--json");
    let is_json = |index: usize| at.is_some_and(|at| index == at || index == at + 1);
    arguments.iter().enumerate().filter(|(index, _)| !is_json(*index)).map(|(_, argument)| argument).collect()
}

/// Runs every example that exists and says which do not.
fn parts(server: &Path) -> Outcome {
    let mut failures = Vec::new();
    for (package, example) in EXAMPLES {
        println!("\n## {package}: {example}");
        let mut command = cargo(&["run", "--quiet", "--release", "--package", package, "--example", example]);
        failures.extend(run(command.env("SALDO_NATS_SERVER", server)).err());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn postgres_is_needed_for_its_row_only() {
        assert!(needs_postgres(&arguments("")));
        assert!(needs_postgres(&arguments("--quick --only reads --only singles")));
        assert!(!needs_postgres(&arguments("--only reads --only bulk")));
        assert!(!needs_postgres(&arguments("--cluster")));
    }

    #[test]
    fn cassandra_is_needed_for_the_rows_of_a_cluster_only() {
        assert!(needs_cassandra(&arguments("--quick --cluster")));
        assert!(needs_cassandra(&arguments("--only bulk --only cql-replay")));
        assert!(!needs_cassandra(&arguments("")));
        assert!(!needs_cassandra(&arguments("--only cluster-bulk")));
    }

    #[test]
    fn the_file_of_figures_is_taken_from_the_arguments() {
        let named = arguments("--quick --json figures.json --seed 7");
        assert_eq!(json_file(&named), PathBuf::from("figures.json"));
        assert_eq!(without_json(&named), ["--quick", "--seed", "7"]);
        assert!(json_file(&arguments("--quick")).ends_with("target/bench.json"));
    }
}
