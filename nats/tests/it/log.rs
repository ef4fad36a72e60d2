use async_nats::jetstream::context::PublishErrorKind;
use bytes::Bytes;
use ledger::{Account, AccountKey, Tenant};
use nats::{Log, LogError, LogSettings, NatsErrorKind, Publisher, PublisherConfig, Renaming, subjects};
use protocol::lane::partition_of;
use testkit::NatsServer;

use crate::{batch, connect, foreign_client, new_log, publish, settings};

#[tokio::test(flavor = "multi_thread")]
async fn several_that_make_it_at_once_get_the_same_log() {
    let server = NatsServer::start().unwrap();
    let mut makers = Vec::new();
    for _ in 0..8 {
        let client = connect(&server).await;
        makers.push(tokio::spawn(async move { Log::ensure(&client, &settings(4)).await }));
    }
    let mut identities = Vec::new();
    for maker in makers {
        identities.push(maker.await.unwrap().unwrap().identity().clone());
    }
    identities.dedup();
    assert_eq!(identities.len(), 1, "{identities:?}");
    let opened = Log::open(&connect(&server).await, 1).await.unwrap();
    assert_eq!(*opened.identity(), identities[0]);
    assert_eq!(opened.identity().partitions, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_by_account_lands_in_the_lane_of_the_account() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 7).await;
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    for number in 0..50 {
        let (tenant, account) = (format!("tenant-{}", number % 5), format!("store-{number}"));
        let key = AccountKey { tenant: Tenant::parse(&tenant).unwrap(), account: Account::parse(&account).unwrap() };
        let publishing = stream.publish(format!("launches.in.{tenant}.{account}"), Bytes::from(account.clone()));
        let sequence = publishing.await.unwrap().await.unwrap().sequence;
        let end = log.lane_end(partition_of(&key, 7)).await.unwrap().unwrap();
        assert_eq!((end.sequence, &end.payload[..]), (sequence, account.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_lane_would_read_is_not_acknowledged() {
    for partitions in [1_u16, 4, 16, 1_024] {
        let server = NatsServer::start().unwrap();
        let log = new_log(&server, partitions).await;
        let found = Log::ensure(&connect(&server).await, &settings(partitions)).await.unwrap();
        assert_eq!(found.identity(), log.identity());
        let stream = async_nats::jetstream::new(foreign_client(&server).await);
        let publishing = async |subject: String| stream.publish(subject, "x".into()).await.unwrap().await;
        for subject in [subjects::lane_subject(partitions - 1), "launches.in.acme.store-1".to_owned()] {
            publishing(subject).await.unwrap();
        }
        let beyond = [partitions, partitions + 3].map(subjects::lane_subject);
        for subject in beyond.into_iter().chain(["launches.x", "launches.in", "launches.00"].map(str::to_owned)) {
            let refused = publishing(subject.clone()).await.map(|stored| stored.sequence);
            let kind = refused.map_err(|error| error.kind());
            assert_eq!(kind, Err(PublishErrorKind::StreamNotFound), "{subject} of {partitions}");
        }
        assert_eq!(log.usage().await.unwrap().messages, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_sequence_and_as_the_end_of_their_lane() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    assert_eq!(log.lane_end(0).await.unwrap(), None);
    assert_eq!(log.message_at(1).await.unwrap(), None);
    assert_eq!(log.message_at(0).await.unwrap(), None);
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let first = publish(&publisher, 0, batch("a", 2)).await.unwrap();
    let second = publish(&publisher, 1, batch("b", 1)).await.unwrap();
    let found = log.message_at(first.sequence).await.unwrap().unwrap();
    assert_eq!(&found.payload[..], b"a.0\na.1\n");
    assert!(found.time_ms > 1_700_000_000_000);
    assert_eq!(log.lane_end(0).await.unwrap(), Some(found));
    assert_eq!(log.lane_end(1).await.unwrap().unwrap().sequence, second.sequence);
    let usage = log.usage().await.unwrap();
    assert_eq!((usage.messages, usage.first_sequence, usage.last_sequence), (2, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_is_refused_with_the_remedy() {
    let server = NatsServer::start().unwrap();
    new_log(&server, 4).await;
    let error = Log::ensure(&connect(&server).await, &settings(5)).await.unwrap_err();
    assert_eq!(error, LogError::OtherPartitions { wanted: 5, found: 4 });
    assert!(!error.retry_helps());
    assert!(error.to_string().contains("ask for 4"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_stream_and_a_foreign_one_are_told_apart() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    assert_eq!(Log::open(&client, 1).await.unwrap_err(), LogError::Missing("LAUNCHES".to_owned()));
    let config = async_nats::jetstream::stream::Config {
        name: "LAUNCHES".to_owned(),
        subjects: vec!["launches.*".to_owned()],
        ..Default::default()
    };
    async_nats::jetstream::new(foreign_client(&server).await).create_stream(config).await.unwrap();
    assert!(matches!(Log::ensure(&client, &settings(4)).await, Err(LogError::NotOurs(_))));
    assert!(matches!(Log::open(&client, 1).await, Err(LogError::NotOurs(_))));
    let overlapping = LogSettings { epoch: 2, ..settings(4) };
    assert!(matches!(Log::ensure(&client, &overlapping).await, Err(LogError::NotOurs(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_wire_version_is_refused() {
    let server = NatsServer::start().unwrap();
    new_log(&server, 1).await;
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    let mut config = stream.get_stream("LAUNCHES").await.unwrap().cached_info().config.clone();
    config.metadata.insert("saldo.wire".to_owned(), "2".to_owned());
    stream.update_stream(config).await.unwrap();
    let error = Log::ensure(&connect(&server).await, &settings(1)).await.unwrap_err();
    assert_eq!(error, LogError::OtherWireVersion { found: "2".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_follows_the_configuration_and_lowering_it_drops_nothing() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    for number in 0..20 {
        publish(&publisher, 0, batch(&format!("entry-{number}"), 100)).await.unwrap();
    }
    let before = log.usage().await.unwrap();
    assert_eq!(before.max_bytes, -1);
    let client = connect(&server).await;
    let smaller = LogSettings { max_bytes: 4_096, ..settings(1) };
    let again = Log::ensure(&client, &smaller).await.unwrap();
    assert_eq!(again.identity(), log.identity());
    let after = log.usage().await.unwrap();
    assert_eq!((after.max_bytes, after.messages, after.bytes), (4_096, before.messages, before.bytes));
    let refused = publish(&publisher, 0, batch("too much", 100)).await.unwrap_err();
    assert_eq!(refused.kind, nats::PublishErrorKind::LogFull);
    Log::ensure(&client, &settings(1)).await.unwrap();
    publish(&publisher, 0, batch("room again", 100)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_delete_or_purge() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    publish(&publisher, 0, batch("kept", 1)).await.unwrap();
    let stream = async_nats::jetstream::new(foreign_client(&server).await).get_stream("LAUNCHES").await.unwrap();
    assert!(stream.delete_message(1).await.is_err());
    assert!(stream.purge().await.is_err());
    assert!(log.message_at(1).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_stream_is_another_log() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    log.verify().await.unwrap();
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    stream.delete_stream(log.stream_name()).await.unwrap();
    assert_eq!(log.verify().await.unwrap_err(), LogError::Missing("LAUNCHES".to_owned()));
    assert_eq!(log.usage().await.unwrap_err().kind, NatsErrorKind::NotFound);
    new_log(&server, 1).await;
    assert!(matches!(log.verify().await, Err(LogError::NotOurs(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_settings_are_refused() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    for wrong in [settings(0), settings(2_000), LogSettings { epoch: 0, ..settings(1) }] {
        let error = Log::ensure(&client, &wrong).await.unwrap_err();
        assert!(!error.retry_helps(), "{error}");
    }
    assert_eq!(subjects::stream_name(1), "LAUNCHES");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_log_keeps_its_messages_and_is_another_to_those_who_opened_it_before() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let kept = publish(&publisher, 0, batch("kept", 1)).await.unwrap();
    let client = connect(&server).await;
    for (renaming, epoch) in [(Renaming::Restored, 1), (Renaming::RaisedEpoch(None), 2)] {
        let before = Log::open(&client, 1).await.unwrap();
        let renamed = Log::rename(&client, 1, renaming).await.unwrap();
        assert_eq!(renamed.epoch_before, Some(before.identity().epoch));
        assert_eq!((renamed.identity.epoch, renamed.identity.partitions), (epoch, 2));
        assert_ne!(renamed.identity.name(), before.identity().name());
        let error = before.verify().await.unwrap_err();
        assert!(!error.retry_helps() && error.to_string().contains(&renamed.identity.to_string()), "{error}");
        let after = Log::ensure(&client, &settings(2)).await.unwrap();
        assert_eq!(*after.identity(), renamed.identity);
        assert_eq!(after.lane_end(0).await.unwrap().map(|message| message.sequence), Some(kept.sequence));
    }
}
