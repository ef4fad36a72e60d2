use std::process::Command;

use nats::{FoundLease, LeaseSettings, Leases, LogError};
use testkit::{NatsServer, nats_cli};

use crate::connect;

const ONE_COPY: LeaseSettings = LeaseSettings { replicas: 1 };

async fn found(leases: &Leases) -> Vec<(String, String)> {
    let text = |lease: &FoundLease| String::from_utf8(lease.payload.to_vec()).unwrap();
    let mut found: Vec<_> =
        leases.all().await.unwrap().iter().map(|lease| (lease.instance.clone(), text(lease))).collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(instance, text)| ((*instance).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_instance_has_one_entry_and_every_write_is_another_revision() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    assert!(matches!(Leases::open(&client, 1).await.unwrap_err(), LogError::Missing(_)));
    Leases::ensure(&client, &ONE_COPY, 1).await.unwrap();
    Leases::ensure(&client, &ONE_COPY, 1).await.unwrap();
    let leases = Leases::open(&client, 1).await.unwrap();
    assert_eq!(found(&leases).await, []);
    leases.put("a", b"one".to_vec()).await.unwrap();
    leases.put("b", b"two".to_vec()).await.unwrap();
    assert_eq!(found(&leases).await, pairs(&[("a", "one"), ("b", "two")]));
    let revision = async || leases.all().await.unwrap().iter().find(|lease| lease.instance == "a").unwrap().revision;
    let before = revision().await;
    leases.put("a", b"one".to_vec()).await.unwrap();
    assert!(revision().await > before);
    let of_another_log = Leases::open(&client, 2).await.unwrap();
    assert_eq!(found(&of_another_log).await, []);
    leases.remove("a").await.unwrap();
    assert_eq!(found(&leases).await, pairs(&[("b", "two")]));
}

/// The `nats` command line takes it for a bucket like any other, which is how operators look at it.
#[tokio::test(flavor = "multi_thread")]
async fn operators_read_it_with_the_command_line() {
    let server = NatsServer::start().unwrap();
    let leases = Leases::ensure(&connect(&server).await, &ONE_COPY, 1).await.unwrap();
    leases.put("a", b"one".to_vec()).await.unwrap();
    let said = |arguments: &[&str]| {
        let output =
            Command::new(nats_cli().unwrap()).args(["--server", &server.url()]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(said(&["kv", "ls", "SALDO_LEASES"]), "1.a");
    assert_eq!(said(&["kv", "get", "SALDO_LEASES", "1.a", "--raw"]), "one");
    said(&["kv", "del", "SALDO_LEASES", "1.a", "--force"]);
    assert_eq!(found(&leases).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_somebody_else_is_refused() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    let raw = async_nats::jetstream::new(crate::foreign_client(&server).await);
    let config = async_nats::jetstream::kv::Config { bucket: "SALDO_LEASES".to_owned(), ..Default::default() };
    raw.create_key_value(config).await.unwrap();
    assert!(matches!(Leases::ensure(&client, &ONE_COPY, 1).await.unwrap_err(), LogError::NotOurs(_)));
    assert!(matches!(Leases::open(&client, 1).await.unwrap_err(), LogError::NotOurs(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_in_time() {
    let mut server = NatsServer::start().unwrap();
    let leases = Leases::ensure(&connect(&server).await, &ONE_COPY, 1).await.unwrap();
    server.stop_signal().unwrap();
    assert!(leases.all().await.unwrap_err().retry_helps());
    assert!(leases.put("a", b"one".to_vec()).await.unwrap_err().retry_helps());
    server.continue_signal().unwrap();
    let again = testkit::wait_until_async("the bucket", crate::PATIENCE, async || leases.all().await.ok());
    again.await.unwrap();
}
