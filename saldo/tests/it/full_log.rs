//! A log that is full: callers are refused, readiness says so, and standard error stays short, for it may go to the disk whose lack
//! of space is the reason.

use reqwest::StatusCode;
use serde_json::json;
use testkit::{ChildProcess, temp_folder, wait_until_async};

use crate::pipeline::{PATIENCE, Pipeline, up};

/// Posts after the log is full: without a bound each would write two lines.
const POSTS: usize = 2_000;
/// Lines of the whole life of the process: its start and stop, and one for each kind of trouble.
const MOST_LINES: usize = 60;

#[tokio::test]
async fn refusals_are_written_once_and_not_each_time() {
    let folder = temp_folder().unwrap();
    let mut command = up(folder.path(), &["--partitions", "2"]);
    command.env("SALDO_LOG_MAX_BYTES", "1048576").env("SALDO_LOG", "warn");
    let pipeline = Pipeline::of(ChildProcess::spawn(command).unwrap(), folder.path());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    fill(&client, &pipeline).await;

    for number in 0..POSTS {
        assert_eq!(post(&client, &pipeline, &format!("late-{number}"), "").await, StatusCode::SERVICE_UNAVAILABLE);
    }
    let readiness = format!("{}/health/ready", pipeline.ingest);
    let told = wait_until_async("ingest is not ready", PATIENCE, async || {
        let answer = client.get(&readiness).send().await.ok()?;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(answer.text().await.ok()?)
    });
    assert!(told.await.unwrap().contains("the log is full"));
    let said = pipeline.process.output();
    let lines = said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!((1..=MOST_LINES).contains(&lines), "{lines} lines:\n{said}");
    assert_eq!(said.lines().filter(|line| line.contains("launches are refused")).count(), 1, "{said}");
    pipeline.stop();
}

/// Large launches, until one is refused, and then small ones.
async fn fill(client: &reqwest::Client, pipeline: &Pipeline) {
    for (size, note) in [("large", "x".repeat(4_000)), ("small", String::new())] {
        let mut number = 0;
        while post(client, pipeline, &format!("{size}-{number}"), &note).await == StatusCode::CREATED {
            number += 1;
            assert!(number < 20_000, "the log never fills");
        }
    }
}

async fn post(client: &reqwest::Client, pipeline: &Pipeline, id: &str, note: &str) -> StatusCode {
    let launch = json!({
        "id": id, "account": "store-1", "date": "2026-03-14", "kind": "credit", "amount": "1.00", "currency": "BRL", "note": note,
    });
    let request = client.post(format!("{}/v1/launches", pipeline.ingest)).header("saldo-tenant", "acme");
    request.json(&launch).timeout(PATIENCE).send().await.unwrap().status()
}
