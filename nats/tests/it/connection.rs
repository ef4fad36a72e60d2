use nats::{Client, ClientConfig, NatsErrorKind};
use testkit::{NatsServer, free_port, wait_until_async};

use crate::{PATIENCE, client_config, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_heals_by_itself_and_a_round_trip_proves_it() {
    let mut server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    client.flush().await.unwrap();
    assert!(client.is_connected());
    assert!(client.server_version().starts_with("2."), "{}", client.server_version());
    server.kill().unwrap();
    wait_until_async("the loss", PATIENCE, || async { (!client.is_connected()).then_some(()) }).await.unwrap();
    server.restart().unwrap();
    wait_until_async("the return", PATIENCE, || async { client.flush().await.ok() }).await.unwrap();
    assert!(client.is_connected());
}

/// Servers of one cluster are tried in any order, and again after a loss, so each order must do.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_of_several_is_enough() {
    let server = NatsServer::start().unwrap();
    let nobody = format!("nats://127.0.0.1:{}", free_port().unwrap());
    for url in [format!("{nobody},{}", server.url()), format!("{},{nobody}", server.url())] {
        let client = Client::connect(&ClientConfig { url, ..client_config(&server) }).await.unwrap();
        client.flush().await.unwrap();
    }
}

/// The workspace as a whole has two implementations of TLS's cryptography in it, and then somebody must have chosen.
#[tokio::test(flavor = "multi_thread")]
async fn tls_can_be_configured_whatever_else_is_compiled_in() {
    let server = NatsServer::start().unwrap();
    connect(&server).await;
    let roots = async_nats::rustls::RootCertStore::empty();
    let _config = async_nats::rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_can_be_tried_again_and_wrong_credentials_cannot() {
    let config = ClientConfig {
        url: format!("nats://127.0.0.1:{}", free_port().unwrap()),
        name: "test".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 2_000,
    };
    let error = Client::connect(&config).await.unwrap_err();
    assert!(error.retry_helps() && error.kind == NatsErrorKind::Unavailable, "{error}");
    let users = "authorization { users: [{ user: \"ingest\", password: \"right\" }] }";
    let server = NatsServer::options().extra_config(users).start().unwrap();
    let config = |password: &str| ClientConfig {
        user: Some("ingest".to_owned()),
        password: Some(password.to_owned()),
        ..client_config(&server)
    };
    let error = Client::connect(&config("wrong")).await.unwrap_err();
    assert!(!error.retry_helps() && !error.message.contains("wrong"), "{error}");
    Client::connect(&config("right")).await.unwrap().flush().await.unwrap();
}
