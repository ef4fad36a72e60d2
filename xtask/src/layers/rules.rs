//! The rules, and what breaks them.

use super::{Member, paths::paths};

/// Our crates, from the top down: a crate depends only on crates in lower rows.
pub const ORDER: &[&[&str]] = &[
    &["e2e", "bench"],
    &["saldo"],
    &["ingest", "aggregator", "query"],
    &["service"],
    &["store"],
    &["nats"],
    &["retry"],
    &["protocol"],
    &["ledger"],
    &["testkit", "xtask"],
];

/// Libraries, and the only crates that may depend on them.
pub const OWNERS: &[(&str, &[&str])] = &[
    // The bench measures what these libraries do without us.
    ("async-nats", &["nats", "bench"]),
    ("fjall", &["store"]),
    ("scylla", &["store"]),
    ("backoff", &["retry"]),
    ("axum", &["service", "ingest", "aggregator", "query", "bench"]),
];

/// Crates without clock, I/O and tasks.
pub const PURE: &[&str] = &["ledger", "protocol"];

/// What a pure crate may not depend on.
const IMPURE_LIBRARIES: &[&str] =
    &["tokio", "tokio-util", "async-nats", "async-trait", "fjall", "scylla", "axum", "reqwest", "hyper", "backoff"];

/// What the sources of a pure crate may not name.
const IMPURE_PATHS: &[&str] = &[
    "std::time::SystemTime",
    "std::time::Instant",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::io::stdin",
    "rand::rng",
    "rand::random",
];

/// The crates in which axum stands in one module, and that module.
pub const HTTP: &[&str] = &["ingest", "aggregator", "query"];
const HTTP_MODULE: &str = "src/http";

/// The simulation's oracle, by crate and module: it shares no code with what it judges.
const ORACLE: (&str, &str) = ("protocol", "src/simulation/oracle");

/// Everything that is wrong with a crate, a sentence each.
pub fn violations(member: &Member) -> Vec<String> {
    let checks = [order, owners, purity, http, oracle];
    checks.iter().flat_map(|check| check(member)).collect()
}

fn rank(name: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&name))
}

fn order(member: &Member) -> Vec<String> {
    let name = &member.name;
    let Some(own) = rank(name) else {
        return vec![format!("{name}: stands in no row of the layer rules")];
    };
    let points_up = |dependency: &&String| rank(dependency).is_some_and(|theirs| theirs <= own);
    let sentence = |dependency: &String| format!("{name}: depends on {dependency}, which is not below it");
    member.dependencies.iter().filter(points_up).map(sentence).collect()
}

fn owners(member: &Member) -> Vec<String> {
    let name = &member.name;
    let foreign = OWNERS.iter().filter(|(_, owners)| !owners.contains(&name.as_str()));
    let mut found = Vec::new();
    for (library, owners) in foreign {
        let root = library.replace('-', "_");
        if member.dependencies.iter().any(|dependency| dependency == library) {
            found.push(format!("{name}: depends on {library}, which belongs to {}", owners.join(", ")));
        }
        // A module may be called like this library; without the dependency its paths are the module's.
        if *library == "backoff" {
            continue;
        }
        let users = member.sources.iter().filter(|(_, text)| paths(text).iter().any(|path| is_in(path, &root)));
        found.extend(
            users.map(|(file, _)| format!("{name}/{file}: names {root}, which belongs to {}", owners.join(", "))),
        );
    }
    found
}

fn purity(member: &Member) -> Vec<String> {
    let name = &member.name;
    if !PURE.contains(&name.as_str()) {
        return Vec::new();
    }
    let impure = member.dependencies.iter().filter(|dependency| IMPURE_LIBRARIES.contains(&dependency.as_str()));
    let mut found: Vec<String> = impure.map(|library| format!("{name}: is pure and depends on {library}")).collect();
    for (file, text) in member.sources.iter().filter(|(file, _)| file.starts_with("src/")) {
        let bad = paths(text).into_iter().filter(|path| is_impure(path));
        found.extend(bad.map(|path| format!("{name}/{file}: is pure and names {path}")));
    }
    found
}

fn http(member: &Member) -> Vec<String> {
    let name = &member.name;
    if !HTTP.contains(&name.as_str()) {
        return Vec::new();
    }
    let in_module = |file: &str| file == format!("{HTTP_MODULE}.rs") || file.starts_with(&format!("{HTTP_MODULE}/"));
    let outside = member.sources.iter().filter(|(file, _)| file.starts_with("src/") && !in_module(file));
    let users = outside.filter(|(_, text)| paths(text).iter().any(|path| is_in(path, "axum")));
    users.map(|(file, _)| format!("{name}/{file}: names axum outside {HTTP_MODULE}")).collect()
}

fn oracle(member: &Member) -> Vec<String> {
    let (name, folder) = ORACLE;
    if member.name != name {
        return Vec::new();
    }
    let root_file = format!("{folder}.rs");
    let is_in_oracle = |file: &str| file == root_file || file.starts_with(&format!("{folder}/"));
    let mut found = Vec::new();
    for (file, text) in member.sources.iter().filter(|(file, _)| is_in_oracle(file)) {
        // One `super` of the oracle's own file leaves it, and two of the files below do.
        let leaves = if *file == root_file { "super::" } else { "super::super::" };
        let is_foreign = |path: &&String| {
            path.starts_with("crate::")
                || path.starts_with(leaves)
                || ORDER.iter().flat_map(|row| *row).any(|root| is_in(path, root))
        };
        let paths = paths(text);
        found.extend(
            paths.iter().filter(is_foreign).map(|path| format!("{name}/{file}: is the oracle and names {path}")),
        );
    }
    found
}

/// Whether the path lies in `root`, or is it.
fn is_in(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether the path is forbidden, lies in something forbidden, or imports a module (or all of it) that has something
/// forbidden in it. Clocks hide behind `now` in every library of dates.
fn is_impure(path: &str) -> bool {
    let opened = path.strip_suffix("::*").unwrap_or(path);
    let holds = |forbidden: &str| is_in(opened, forbidden) || (opened.contains("::") && is_in(forbidden, opened));
    IMPURE_PATHS.iter().any(|forbidden| holds(forbidden)) || path.ends_with("::now")
}
