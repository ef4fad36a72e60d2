//! What an operator reads in the log of changes to the tenants' settings.

use std::{fs, path::Path};

use testkit::NatsServer;

use crate::pipeline::{PATIENCE, ingest, refusal, saldo};

const UTC: &str = "[[rule]]\ntenant = \"acme\"\n";

fn tokyo(effective_from: &str) -> String {
    let version = ledger::ZoneVersion::of_this_program("Asia/Tokyo").unwrap();
    format!(
        "{UTC}[[rule]]\ntenant = \"acme\"\nzone = \"Asia/Tokyo\"\nzone_version = \"{version}\"\neffective_from = {effective_from}\n"
    )
}

/// In one step: a file that is written in place is empty for a moment, and empty settings are a change, too.
fn replace(file: &Path, text: &str) {
    let written = file.with_extension("new");
    fs::write(&written, text).unwrap();
    fs::rename(written, file).unwrap();
}

#[test]
fn each_change_that_is_taken_or_refused_has_a_line() {
    let (nats, folder) = (NatsServer::start().unwrap(), testkit::temp_folder().unwrap());
    let file = folder.path().join("tenants.toml");
    fs::write(&file, UTC).unwrap();
    let variables = [("SALDO_TENANTS", file.to_str().unwrap()), ("SALDO_TENANTS_RELOAD_MS", "20")];
    let (mut process, _) = ingest(&nats, &variables);
    replace(&file, &tokyo("2026-01-01"));
    let refused = process.wait_for_line("comes too early and is refused", PATIENCE).unwrap();
    assert!(refused.contains("tenant acme from 2026-01-01 on: Asia/Tokyo, days begin at 00:00"), "{refused}");
    assert!(refused.contains("the earliest date that would do is 2"), "{refused}");
    replace(&file, "[[rule]\n");
    process.wait_for_line("tenants.toml, line 1", PATIENCE).unwrap();
    replace(&file, &tokyo("2199-01-01"));
    let taken = process.wait_for_line("a change of settings is taken", PATIENCE).unwrap();
    assert!(taken.contains("tenant acme from 2199-01-01 on: Asia/Tokyo"), "{taken}");
    process.wait_for_line("confirmed again", PATIENCE).unwrap();
    process.terminate().unwrap();
    assert!(process.wait(PATIENCE).unwrap().success());
    assert_eq!(process.output().matches("is refused:").count(), 1, "not with each reading: {}", process.output());
}

#[test]
fn the_versions_of_zones_are_printed() {
    let output = saldo().args(["zone", "Asia/Tokyo", "UTC"]).output().unwrap();
    let [tokyo, utc] = ["Asia/Tokyo", "UTC"].map(|zone| ledger::ZoneVersion::of_this_program(zone).unwrap());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("Asia/Tokyo {tokyo}\nUTC {utc}\n"));
    assert!(refusal(saldo().args(["zone", "Mars/Olympus"])).contains("Mars/Olympus"));
}
