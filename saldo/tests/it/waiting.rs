//! A service by itself that waits for its servers.

use reqwest::{Client, StatusCode};
use testkit::{ChildProcess, NatsServer, free_port, wait_until_async};

use crate::{
    http::text,
    log_name::saldo_log,
    pipeline::{PATIENCE, refusal, saldo},
};

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> (ChildProcess, String) {
    let mut command = saldo();
    command.args(arguments).envs(variables.iter().copied());
    let mut process = ChildProcess::spawn(command).unwrap();
    let line = process.wait_for_line("address=", PATIENCE).unwrap();
    let address = line.rsplit_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    (process, format!("http://{address}"))
}

async fn asked(url: String) -> StatusCode {
    reqwest::get(url).await.unwrap().status()
}

/// Waits until it is not ready for a reason with these words; it lives meanwhile.
async fn waits_for(service: &str, words: &str) {
    let url = format!("{service}/health/ready");
    let said = async || text(&url).await.contains(words).then_some(());
    wait_until_async(words, PATIENCE, said).await.unwrap();
    assert_eq!(asked(url).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked(format!("{service}/health/live")).await, StatusCode::OK);
}

async fn post(ingest: &str) -> (StatusCode, String) {
    let request = Client::new().post(format!("{ingest}/v1/launches")).header("saldo-tenant", "acme");
    let body = r#"{"id":"a","account":"a","date":"2026-11-22","kind":"credit","amount":"1.00","currency":"BRL"}"#;
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn ingest_lives_and_says_what_it_waits_for() {
    let port = free_port().unwrap();
    let servers = format!("127.0.0.1:{port}");
    let (mut ingest, url) = start(&["ingest", "--ingest", "127.0.0.1:0", "--nats", &servers], &[]);
    waits_for(&url, "connecting to NATS failed").await;
    let (status, problem) = post(&url).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && problem.contains("log_unavailable"), "{status} {problem}");

    let _server = NatsServer::options().port(port).start().unwrap();
    waits_for(&url, "there is no stream LAUNCHES").await;
    saldo_log(&servers, &["apply"]);
    let accepted = async || (post(&url).await.0 == StatusCode::CREATED).then_some(());
    wait_until_async("a post to be accepted", PATIENCE, accepted).await.unwrap();
    ingest.terminate().unwrap();
    assert!(ingest.wait(PATIENCE).unwrap().success());
}

#[tokio::test]
async fn query_and_aggregator_live_and_say_what_they_wait_for() {
    let nodes = format!("127.0.0.1:{}", free_port().unwrap());
    let variables = [("SALDO_SCYLLA_NODES", nodes.as_str())];
    let servers = format!("127.0.0.1:{}", free_port().unwrap());
    for (name, words) in [("query", "connecting to the CQL store"), ("aggregator", "connecting to NATS")] {
        let option = format!("--{name}");
        let (mut service, url) = start(&[name, &option, "127.0.0.1:0", "--nats", &servers], &variables);
        waits_for(&url, words).await;
        service.terminate().unwrap();
        assert!(service.wait(PATIENCE).unwrap().success(), "{name}");
    }
}

#[test]
fn an_address_that_others_reach_is_refused_before_anything_is_waited_for() {
    let servers = format!("127.0.0.1:{}", free_port().unwrap());
    for name in ["ingest", "query"] {
        let option = format!("--{name}");
        let mut command = saldo();
        command.args([name, &option, "0.0.0.0:0", "--nats", &servers]).env("SALDO_SCYLLA_NODES", "127.0.0.1:1");
        let said = refusal(&mut command);
        assert!(said.contains("refusing to listen on 0.0.0.0:0"), "{said}");
    }
}
