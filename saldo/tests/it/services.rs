//! The services, each a process of its own, over a CQL store that they share.

use std::process::Command;

use reqwest::StatusCode;
use testkit::{CASSANDRA_DATACENTER, Cassandra, ChildProcess, NatsServer, wait_until_async};

use crate::{
    http,
    log_name::saldo_log,
    pipeline::{PATIENCE, Pipeline, refusal, saldo},
};

/// A verb with what it needs to find the servers.
fn verb(words: &[&str], nats: &NatsServer, cassandra: &Cassandra) -> Command {
    let mut command = saldo();
    command.args(words).env("SALDO_NATS", format!("127.0.0.1:{}", nats.port()));
    command.env("SALDO_SCYLLA_NODES", cassandra.address()).env("SALDO_SCYLLA_CONSISTENCY", "local_one");
    command.env("SALDO_SCYLLA_REPLICATION", format!("{CASSANDRA_DATACENTER}:1"));
    command
}

/// A service on a free port, and where that is.
fn service(name: &str, nats: &NatsServer, cassandra: &Cassandra) -> (ChildProcess, String) {
    let option = format!("--{name}");
    started(verb(&[name, &option, "127.0.0.1:0"], nats, cassandra))
}

/// The same of a command that starts it.
fn started(command: Command) -> (ChildProcess, String) {
    let mut process = ChildProcess::spawn(command).unwrap();
    let line = process.wait_for_line("address=", PATIENCE).unwrap();
    let address = line.rsplit_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    (process, format!("http://{address}"))
}

/// Twice: it may be run again.
fn apply(words: &[&str], nats: &NatsServer, cassandra: &Cassandra) {
    for _ in 0..2 {
        let output = verb(words, nats, cassandra).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What `saldo health` says of a service, and whether it succeeded.
fn health(url: &str) -> (bool, String) {
    let output = saldo().args(["health", url]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Ready services say so; what is not a service, or not there, fails with a sentence.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_from_the_command_line() {
    let folder = testkit::temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    for url in [&pipeline.ingest, &pipeline.query, &pipeline.aggregator] {
        assert_eq!(health(url), (true, "{\"status\":\"ready\"}\n".to_owned()));
    }
    let (good, said) = health(&format!("{}/no-such-place", pipeline.query));
    assert!(!good && said.contains("answered 404"), "{said}");
    let nowhere = format!("http://127.0.0.1:{}", testkit::free_port().unwrap());
    let (good, said) = health(&nowhere);
    assert!(!good && said.starts_with("error: no answer from"), "{said}");
}

/// Without the schema they are refused; with it they wait for the log, and for each other; a launch posted to one is read
/// from another.
#[tokio::test(flavor = "multi_thread")]
async fn services_alone_share_the_cql_store() {
    let (nats, cassandra) = (NatsServer::start().unwrap(), Cassandra::options().careless().start().unwrap());
    let mut without_schema = verb(&["query", "--query", "127.0.0.1:0"], &nats, &cassandra);
    assert!(refusal(&mut without_schema).contains("run `saldo schema apply`"));
    apply(&["schema", "apply"], &nats, &cassandra);
    let (mut aggregator, _) = service("aggregator", &nats, &cassandra);
    let (mut query, query_url) = service("query", &nats, &cassandra);
    let (mut ingest, ingest_url) = service("ingest", &nats, &cassandra);
    ingest.wait_for_line("run `saldo log apply`", PATIENCE).unwrap();
    apply(&["log", "apply"], &nats, &cassandra);
    let mut position = String::new();
    for id in ["one", "two", "one"] {
        position = http::post_to(&ingest_url, id).await;
    }
    assert_eq!(http::count_at(&query_url, &position).await, 2);
    let ready = async || (http::text(&format!("{query_url}/health/ready")).await.contains("ready")).then_some(());
    wait_until_async("query to be ready", PATIENCE, ready).await.unwrap();
    stop([&mut ingest, &mut aggregator, &mut query]);

    // Another epoch over the same tables: query says so and stays, for what is stored is of the former one.
    saldo_log(&format!("127.0.0.1:{}", nats.port()), &["raise-epoch"]);
    let (mut query, query_url) = service("query", &nats, &cassandra);
    let said = async || health_text(&query_url).await.contains("the store was filled from").then_some(());
    wait_until_async("query to say why it answers nothing", PATIENCE, said).await.unwrap();
    assert_eq!(http::status_at(&query_url, &position).await, StatusCode::SERVICE_UNAVAILABLE);
    stop([&mut query]);

    // The same over a new keyspace: the epoch is the stream's, with no word to query.
    let empty = |words: &[&str]| {
        let mut command = verb(words, &nats, &cassandra);
        command.env("SALDO_SCYLLA_KEYSPACE", "saldo_2");
        command
    };
    assert!(empty(&["schema", "apply"]).output().unwrap().status.success());
    let (mut aggregator, _) = started(empty(&["aggregator", "--aggregator", "127.0.0.1:0"]));
    let (mut query, query_url) = started(empty(&["query", "--query", "127.0.0.1:0"]));
    let (mut ingest, ingest_url) = service("ingest", &nats, &cassandra);
    let after = http::post_to(&ingest_url, "three").await;
    assert!(after.starts_with("2."), "{after}");
    assert_eq!(http::count_at(&query_url, &after).await, 3);
    assert_eq!(http::status_at(&query_url, &position).await, StatusCode::GONE);
    stop([&mut ingest, &mut aggregator, &mut query]);
}

async fn health_text(url: &str) -> String {
    http::text(&format!("{url}/health/ready")).await
}

/// SIGTERM to each; each ends well.
fn stop<const N: usize>(processes: [&mut ChildProcess; N]) {
    for process in processes {
        process.terminate().unwrap();
        assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
    }
}
