//! `saldo demo` against a running pipeline.

use testkit::temp_folder;

use crate::pipeline::{Pipeline, refusal, saldo};

#[test]
fn the_demo_counts_once_however_often_it_runs() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    let run = || {
        let mut command = saldo();
        command.args(["demo", "--ingest-url", &pipeline.ingest, "--query-url", &pipeline.query]);
        let output = command.args(["--stores", "2", "--days", "7"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let (first, second) = (run(), run());
    let consolidation = |said: &str| said.split_once("Consolidation of 2026-01-07").unwrap().1.to_owned();
    assert_eq!(consolidation(&first), consolidation(&second));
    assert!(first.contains("counted exactly once") && first.contains("bakery-1"), "{first}");

    let mut other = saldo();
    other.args(["demo", "--ingest-url", &pipeline.ingest, "--query-url", &pipeline.query, "--seed", "2"]);
    let said = refusal(other.args(["--stores", "2", "--days", "7"]));
    assert!(said.contains("another --seed") && said.contains("--tenant"), "{said}");
    pipeline.stop();
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert!(refusal(saldo().args(["demo", "--tenant", "not a tenant"])).contains("--tenant"));
    assert!(refusal(saldo().args(["demo", "--from", "yesterday"])).contains("--from"));
    let said = refusal(saldo().args(["demo", "--from", "2199-12-20"]));
    assert!(said.contains("too late for 30 days"), "{said}");
}
