use nats::{LogError, ParkOutcome, Parked, ParkedSettings};
use protocol::parked::{ParkedLine, ParkedMessage};
use testkit::NatsServer;

use crate::{connect, foreign_client};

fn parked(sequence: u64, text: &str) -> ParkedMessage {
    let line = ParkedLine {
        line: 1,
        reason: "not_json".to_owned(),
        detail: "not JSON".to_owned(),
        tenant: None,
        account: None,
        id: None,
        text: text.to_owned(),
        cut: false,
    };
    ParkedMessage { epoch: 1, partition: 0, sequence, time_ms: 5, bad_lines: 1, lines: vec![line] }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_parked_once_and_the_first_stays() {
    let mut server = NatsServer::start().unwrap();
    let stream = Parked::ensure(&connect(&server).await, &ParkedSettings { replicas: 1, max_bytes: -1 }).await.unwrap();
    assert_eq!(stream.park(&parked(7, "first")).await.unwrap(), ParkOutcome::Stored);
    assert_eq!(stream.park(&parked(7, "second")).await.unwrap(), ParkOutcome::AlreadyThere);
    assert_eq!(stream.park(&parked(8, "other")).await.unwrap(), ParkOutcome::Stored);
    assert_eq!(stream.count().await.unwrap(), 2);
    server.restart().unwrap();
    let again = Parked::ensure(&connect(&server).await, &ParkedSettings { replicas: 1, max_bytes: -1 }).await.unwrap();
    assert_eq!(again.park(&parked(7, "third")).await.unwrap(), ParkOutcome::AlreadyThere);
    let raw = async_nats::jetstream::new(foreign_client(&server).await).get_stream("LAUNCHES_PARKED").await.unwrap();
    let kept = raw.get_last_raw_message_by_subject("parked.1.0.7").await.unwrap();
    assert_eq!(serde_json::from_slice::<ParkedMessage>(&kept.payload).unwrap(), parked(7, "first"));
    assert!(raw.delete_message(kept.sequence).await.is_err(), "parked messages are never deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_opened_as_it_was_made() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    assert!(matches!(Parked::open(&client).await.unwrap_err(), LogError::Missing(_)));
    Parked::ensure(&client, &ParkedSettings { replicas: 1, max_bytes: 1_000_000 }).await.unwrap();
    let stream = Parked::open(&client).await.unwrap();
    assert_eq!(stream.park(&parked(7, "first")).await.unwrap(), ParkOutcome::Stored);
    let mut raw =
        async_nats::jetstream::new(foreign_client(&server).await).get_stream("LAUNCHES_PARKED").await.unwrap();
    assert_eq!(raw.info().await.unwrap().config.max_bytes, 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_says_so_and_still_knows_what_it_has() {
    let server = NatsServer::start().unwrap();
    let small = ParkedSettings { replicas: 1, max_bytes: 8_192 };
    let stream = Parked::ensure(&connect(&server).await, &small).await.unwrap();
    let text = "x".repeat(1_000);
    let mut sequence = 1;
    while stream.park(&parked(sequence, &text)).await.unwrap() == ParkOutcome::Stored {
        sequence += 1;
    }
    assert!(sequence > 3, "some had room");
    assert_eq!(stream.park(&parked(sequence, &text)).await.unwrap(), ParkOutcome::Full);
    assert_eq!(stream.park(&parked(1, &text)).await.unwrap(), ParkOutcome::AlreadyThere);
    let larger =
        Parked::ensure(&connect(&server).await, &ParkedSettings { replicas: 1, max_bytes: 65_536 }).await.unwrap();
    assert_eq!(larger.park(&parked(sequence, &text)).await.unwrap(), ParkOutcome::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_stream_of_that_name_is_refused() {
    let server = NatsServer::start().unwrap();
    let config = async_nats::jetstream::stream::Config {
        name: "LAUNCHES_PARKED".to_owned(),
        subjects: vec!["parked.*.*.*".to_owned()],
        ..Default::default()
    };
    async_nats::jetstream::new(foreign_client(&server).await).create_stream(config).await.unwrap();
    let refused = Parked::ensure(&connect(&server).await, &ParkedSettings { replicas: 1, max_bytes: -1 }).await;
    assert!(matches!(refused, Err(LogError::NotOurs(_))));
}
