use std::{path::PathBuf, process::Command};

use bytes::Bytes;
use nats::{
    Changes, Client, ClientConfig, LeaseSettings, Leases, Log, LogError, NoticeEvent, ParkOutcome, Parked,
    ParkedSettings, Publisher, PublisherConfig, ReaderSettings,
};
use protocol::{
    notice::{Changed, Notice},
    parked::ParkedMessage,
};
use testkit::{NatsServer, TempDir};

use crate::{batch, client_config, next_message, publish, settings};

const USERS: [&str; 4] = ["ingest", "aggregator", "query", "operator"];

fn config_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("nats-server.conf")
}

fn variables(store: &TempDir) -> Vec<(String, String)> {
    let passwords =
        USERS.map(|user| (format!("SALDO_NATS_{}_PASSWORD", user.to_uppercase()), format!("secret-of-{user}")));
    let store = store.path().display().to_string();
    let more = [("SALDO_NATS_STORE".to_owned(), store), ("SALDO_NATS_MAX_STORE".to_owned(), "1GB".to_owned())];
    passwords.into_iter().chain(more).collect()
}

fn start(store: &TempDir) -> NatsServer {
    let options = NatsServer::options().config_file(config_file());
    variables(store).iter().fold(options, |options, (name, value)| options.env(name, value)).start().unwrap()
}

async fn connect_as(server: &NatsServer, user: &str) -> Client {
    let config = ClientConfig {
        user: Some(user.to_owned()),
        password: Some(format!("secret-of-{user}")),
        ..client_config(server)
    };
    Client::connect(&config).await.unwrap()
}

async fn foreign_client_as(server: &NatsServer, user: &str) -> async_nats::Client {
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), format!("secret-of-{user}"));
    options.custom_inbox_prefix(format!("_INBOX.{user}")).connect(server.url()).await.unwrap()
}

#[test]
fn the_server_accepts_the_file() {
    let store = testkit::temp_folder().unwrap();
    let mut command = Command::new(testkit::nats_server_binary().unwrap());
    let checked = command.arg("-t").arg("-c").arg(config_file()).envs(variables(&store)).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let text = std::fs::read_to_string(config_file()).unwrap();
    assert!(text.lines().any(|line| line.trim() == "sync_interval: always"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_can_do_its_work() {
    let store = testkit::temp_folder().unwrap();
    let server = start(&store);
    let ingest = connect_as(&server, "ingest").await;
    let log = Log::ensure(&ingest, &settings(2)).await.unwrap();
    Log::ensure(&ingest, &nats::LogSettings { max_bytes: 1_000_000, ..settings(2) }).await.unwrap();
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let published = publish(&publisher, 0, batch("one", 3)).await.unwrap();
    assert!(log.message_at(published.sequence).await.unwrap().is_some());
    assert_eq!(next_message(&mut log.reader(0, 1, ReaderSettings::default())).await.sequence, 1);

    let query = connect_as(&server, "query").await;
    assert_eq!(Log::open(&query, 1).await.unwrap().identity(), log.identity());
    let mut notices = Changes::new(query, 1).subscribe().await.unwrap();

    let aggregator = connect_as(&server, "aggregator").await;
    let seen = Log::open(&aggregator, 1).await.unwrap();
    assert_eq!(seen.lane_end(0).await.unwrap().unwrap().sequence, 1);
    assert_eq!(next_message(&mut seen.reader(0, 1, ReaderSettings::default())).await.sequence, 1);
    let parked = Parked::ensure(&aggregator, &ParkedSettings { replicas: 1, max_bytes: -1 }).await.unwrap();
    let message = ParkedMessage { epoch: 1, partition: 0, sequence: 1, time_ms: 1, bad_lines: 1, lines: Vec::new() };
    assert_eq!(parked.park(&message).await.unwrap(), ParkOutcome::Stored);
    let notice = Notice {
        log_is_whole: None,
        generation: 1,
        epoch: 1,
        incarnation: None,
        partition: 0,
        worker: Some(1),
        from: 0,
        to: 1,
        time_ms: 1,
        end: 1,
        replaying: false,
        changed: Changed::All,
        stopped: Vec::new(),
    };
    Changes::new(aggregator.clone(), 1).publish(&notice).await.unwrap();
    assert_eq!(notices.next().await, Some(NoticeEvent::Notice(notice)));
    let operator = connect_as(&server, "operator").await;
    Leases::ensure(&operator, &LeaseSettings { replicas: 1 }, 1).await.unwrap();
    let leases = Leases::open(&aggregator, 1).await.unwrap();
    leases.put("one", b"{}".to_vec()).await.unwrap();
    assert_eq!(leases.all().await.unwrap().len(), 1);
    leases.remove("one").await.unwrap();
    assert_eq!(leases.all().await.unwrap(), []);

    let operator = async_nats::jetstream::new(foreign_client_as(&server, "operator").await);
    operator.publish("launches.in.acme.store-1", "by hand".into()).await.unwrap().await.unwrap();
    assert_eq!(log.usage().await.unwrap().messages, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_do_anothers_work() {
    let store = testkit::temp_folder().unwrap();
    let server = start(&store);
    let log = Log::ensure(&connect_as(&server, "ingest").await, &settings(1)).await.unwrap();
    for user in ["query", "aggregator"] {
        let client = foreign_client_as(&server, user).await;
        for subject in ["launches.0", "launches.in.acme.store-1"] {
            client.publish(subject, Bytes::from_static(b"forged\n")).await.unwrap();
        }
        // The answer comes after the server has looked at what was published before.
        let information = client.request("$JS.API.STREAM.INFO.LAUNCHES", Bytes::new()).await.unwrap();
        assert!(!information.payload.is_empty());
        assert_eq!(log.usage().await.unwrap().messages, 0, "{user} may not publish launches");
    }
    let by_hand = foreign_client_as(&server, "ingest").await;
    by_hand.publish("launches.in.acme.store-1", Bytes::from_static(b"by account\n")).await.unwrap();
    by_hand.request("$JS.API.STREAM.INFO.LAUNCHES", Bytes::new()).await.unwrap();
    assert_eq!(log.usage().await.unwrap().messages, 0, "ingest publishes into lanes only");
    let operator = foreign_client_as(&server, "operator").await;
    operator.publish("$JS.API.STREAM.DELETE.LAUNCHES", Bytes::new()).await.unwrap();
    operator.request("$JS.API.STREAM.INFO.LAUNCHES", Bytes::new()).await.unwrap();
    log.verify().await.unwrap();
    let stranger = Client::connect(&client_config(&server)).await.unwrap_err();
    assert!(!stranger.retry_helps(), "{stranger}");
    assert!(matches!(Log::open(&connect_as(&server, "query").await, 2).await, Err(LogError::Nats(_))));
}
