//! A log that loses its end under a publisher.

use nats::{Log, LogError, PublishErrorKind, Publisher, PublisherConfig};
use serde_json::json;
use testkit::{NatsServer, copy_folder, wait_until_async};

use crate::{
    PATIENCE, batch, connect, foreign_client,
    log_settings::{api, config},
    new_log, publish, settings,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_is_noticed_by_the_first_message() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    for number in 0..5 {
        publish(&publisher, number % 2, batch(&format!("n-{number}"), 1)).await.unwrap();
    }
    log.verify_all().await.unwrap();
    // With the same metadata: nothing else tells it from the one before.
    let client = foreign_client(&server).await;
    let same = config(&client).await;
    api(&client, "STREAM.DELETE.LAUNCHES", &json!({})).await;
    assert!(api(&client, "STREAM.CREATE.LAUNCHES", &same).await["error"].is_null());
    let refused = publish(&publisher, 0, batch("later", 1)).await.unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::Unknown, "{refused}");
    let went_back = log.went_back().unwrap();
    assert_eq!((went_back.known, went_back.found, went_back.is_end), (5, 1, false));
    assert!(matches!(log.verify_all().await, Err(LogError::WentBack(found)) if found == went_back));
    let anew = Log::ensure(&connect(&server).await, &settings(2)).await.unwrap();
    anew.verify_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_noticed_by_its_end() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    publish(&publisher, 0, batch("kept", 1)).await.unwrap();
    server.stop().unwrap();
    let older = testkit::temp_folder().unwrap();
    copy_folder(&server.store_dir(), older.path()).unwrap();
    server.restart().unwrap();
    let stored = async || publish(&publisher, 1, batch("lost", 1)).await.ok();
    wait_until_async("a message to be stored", PATIENCE, stored).await.unwrap();
    log.verify_all().await.unwrap();
    server.kill().unwrap();
    std::fs::remove_dir_all(server.store_dir()).unwrap();
    copy_folder(older.path(), &server.store_dir()).unwrap();
    server.restart().unwrap();
    let noticed = async || log.verify_all().await.err().filter(|error| !error.retry_helps());
    let error = wait_until_async("it to be noticed", PATIENCE, noticed).await.unwrap();
    assert!(error.to_string().contains("it had sequence 2, and 1 is its last"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_side_by_side_and_repeated_ones_are_no_alarm() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 4).await;
    let config = PublisherConfig { messages_in_flight: 4, all_messages_in_flight: 16, ..crate::patient() };
    let publisher = Publisher::start(log.clone(), config);
    for round in 0..3 {
        let mut publishing = tokio::task::JoinSet::new();
        for number in 0..400_u16 {
            // Every tenth is published by two, and each by the next round again.
            let (publisher, batch) = (publisher.clone(), batch(&format!("n-{}", number - number % 10), 2));
            publishing.spawn(async move { publish(&publisher, number % 4, batch).await });
        }
        if round == 1 {
            server.restart().unwrap();
        }
        while let Some(published) = publishing.join_next().await {
            published.unwrap().unwrap();
        }
        assert_eq!(log.went_back(), None);
    }
    let verified = async || log.verify_all().await.ok();
    wait_until_async("the log to answer", PATIENCE, verified).await.unwrap();
}
