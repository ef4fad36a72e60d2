//! The check fails on violations; a check that cannot fail protects nothing.

use super::{Member, manifest, rules::violations};

fn member(name: &str, dependencies: &[&str], sources: &[(&str, &str)]) -> Member {
    Member {
        name: name.to_owned(),
        dependencies: dependencies.iter().map(|&dependency| dependency.to_owned()).collect(),
        sources: sources.iter().map(|&(file, text)| (file.to_owned(), text.to_owned())).collect(),
    }
}

fn assert_clean(member: &Member) {
    assert_eq!(violations(member), Vec::<String>::new());
}

fn assert_violates(member: &Member, part: &str) {
    let found = violations(member);
    assert!(found.iter().any(|violation| violation.contains(part)), "{part:?} is not in {found:?}");
}

#[test]
fn dependencies_point_down() {
    assert_clean(&member("ingest", &["service", "nats", "ledger", "testkit"], &[]));
    assert_violates(&member("nats", &["store"], &[]), "depends on store");
    assert_violates(&member("ingest", &["query"], &[]), "depends on query");
    assert_violates(&member("testkit", &["ledger"], &[]), "depends on ledger");
    assert_violates(&member("xtask", &["testkit"], &[]), "depends on testkit");
    assert_violates(&member("newcomer", &[], &[]), "stands in no row");
}

#[test]
fn libraries_stay_with_their_owners() {
    assert_clean(&member("nats", &["async-nats"], &[("src/stream.rs", "use async_nats::jetstream;")]));
    assert_violates(&member("ingest", &["async-nats"], &[]), "depends on async-nats");
    assert_violates(&member("e2e", &[], &[("tests/it/main.rs", "async_nats::connect(url)")]), "names async_nats");
    assert_violates(&member("query", &["fjall"], &[]), "depends on fjall");
    assert_violates(&member("aggregator", &["scylla"], &[]), "depends on scylla");
    assert_violates(&member("nats", &["backoff"], &[]), "depends on backoff");
    assert_violates(&member("saldo", &[], &[("src/up.rs", "use {axum::Router, std::fs};")]), "names axum");
}

#[test]
fn http_stands_in_the_http_modules() {
    let source = "use axum::Router;";
    assert_clean(&member("query", &["axum"], &[("src/http.rs", source), ("src/http/days.rs", source)]));
    assert_violates(&member("query", &["axum"], &[("src/cache.rs", source)]), "names axum outside");
    assert_violates(&member("query", &["axum"], &[("src/httpish.rs", source)]), "names axum outside");
}

#[test]
fn the_oracle_names_nothing_of_what_it_judges() {
    let (root, below) = ("src/simulation/oracle.rs", "src/simulation/oracle/fold.rs");
    let own = "use std::collections::BTreeMap;\nuse super::{Day, model::Line};\npub(crate) fn fold() {}";
    assert_clean(&member("protocol", &[], &[(below, own), (root, "mod fold;\npub(crate) use fold::Truth;")]));
    assert_clean(&member("protocol", &[], &[("src/simulation/judge.rs", "use ledger::Balance;")]));
    for source in
        ["use ledger::Totals;", "use crate::worker::Worker;", "use super::super::judge;", "ledger::opening(a, b)"]
    {
        assert_violates(&member("protocol", &[], &[(below, source)]), "is the oracle and names");
    }
    assert_violates(&member("protocol", &[], &[(root, "use super::judge;")]), "is the oracle and names");
}

#[test]
fn pure_crates_have_no_clock_no_files_and_no_tasks() {
    let harmless = "use std::time::Duration; // std::time::Instant\nfn f() -> &'static str { \"std::fs::read\" }";
    assert_clean(&member("ledger", &["jiff", "proptest"], &[("src/money.rs", harmless)]));
    assert_clean(&member("protocol", &[], &[("examples/simulate.rs", "use std::time::Instant;")]));
    assert_clean(&member("service", &["tokio"], &[("src/clock.rs", "use std::time::{Instant, SystemTime};")]));
    assert_violates(&member("protocol", &["tokio"], &[]), "depends on tokio");
    for source in [
        "use std::time::{Duration, Instant};",
        "use std::time::*;",
        "use std::{collections::BTreeMap, time};",
        "use std::time::{self, Duration};",
        "let now = std::time::SystemTime::now();",
        "let bytes = std::fs::read(path);",
        "use std::{net::TcpStream};",
        "let today = jiff::Zoned::now();",
    ] {
        assert_violates(&member("ledger", &[], &[("src/date.rs", source)]), "is pure and names");
    }
}

#[test]
fn manifests_are_read_with_all_their_tables_and_renames() {
    let workspace = "[workspace]\nmembers = [\n    \"ledger\", \"nats\",\n]\n[workspace.dependencies]\n\
                     bus = { version = \"1\", package = \"async-nats\" }\ntokio = \"1\"\n";
    assert_eq!(manifest::members(workspace), ["ledger", "nats"]);
    let renames = manifest::renames(workspace);
    let crate_manifest = "[package]\nname = \"x\"\n[dependencies]\nbus.workspace = true\n# axum = \"1\"\n\
                          [dev-dependencies]\ntokio = { workspace = true }\n[target.'cfg(unix)'.dependencies]\n\
                          rustix = \"1\"\n[dependencies.kv]\nversion = \"3\"\npackage = \"fjall\"\n[lints]\nworkspace = true\n";
    assert_eq!(manifest::dependencies(crate_manifest, &renames), ["async-nats", "tokio", "rustix", "fjall"]);
}
