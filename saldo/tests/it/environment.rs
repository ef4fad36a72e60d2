//! Variables: what cannot be used is refused before anything is done with it.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use testkit::{ChildProcess, temp_folder};

use crate::pipeline::{Pipeline, refusal, saldo, up};

const COMMANDS: [&[&str]; 8] = [
    &["up"],
    &["ingest"],
    &["aggregator"],
    &["query"],
    &["schema", "apply"],
    &["log", "apply"],
    &["demo"],
    &["health", "http://127.0.0.1:1"],
];

#[test]
fn every_command_refuses_a_name_that_nobody_reads() {
    for command in COMMANDS {
        let said = refusal(saldo().args(command).env("SALDO_TENANT", "tenants.toml"));
        assert!(said.contains("SALDO_TENANT is set") && said.contains("did you mean SALDO_TENANTS?"), "{said}");
    }
}

#[test]
fn variables_of_other_services_and_of_kubernetes_are_passed_over() {
    let folder = temp_folder().unwrap();
    let mut command = up(folder.path(), &[]);
    command.env("SALDO_SCYLLA_NODES", "one:9042").env("SALDO_LOG_REPLICAS", "3").env("SALDO_IMAGE", "saldo:1");
    command.env("SALDO_QUERY_SERVICE_HOST", "10.96.0.7").env("SALDO_QUERY_PORT", "tcp://10.96.0.7:8081");
    Pipeline::of(ChildProcess::spawn(command).unwrap(), folder.path()).stop();
}

#[test]
fn a_value_that_is_not_utf8_is_refused_and_nothing_is_written() {
    let folder = temp_folder().unwrap();
    let latin1 = folder.path().join(OsStr::from_bytes(b"caixa-s\xe3o"));
    for name in ["SALDO_DATA", "SALDO_NATS_SERVER", "SALDO_TENANTS", "SALDO_SCYLLA_TLS_CA"] {
        let said = refusal(saldo().arg("up").current_dir(folder.path()).env(name, &latin1));
        assert_eq!(said, format!("error: the value of {name} is not UTF-8"));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_misspelt_level_is_refused() {
    for level in ["warning", "inof", "info,ingset", "ingest=verbose"] {
        let said = refusal(saldo().arg("up").env("SALDO_LOG", level));
        assert!(said.contains("SALDO_LOG"), "{said}");
    }
}

#[test]
fn a_log_of_json_ends_with_json() {
    let output = saldo().args(["up", "--ingest", "here"]).env("SALDO_LOG_FORMAT", "json").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert!(last["fields"]["message"].as_str().unwrap().contains("--ingest is"), "{said}");
    assert_eq!(last["level"], "ERROR");
}
