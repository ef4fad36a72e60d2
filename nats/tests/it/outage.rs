use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use nats::{Log, LogSettings, PublishErrorKind, Publisher, PublisherConfig, ReadEvent, ReaderSettings};
use testkit::{NatsCluster, NatsServer, wait_until_async};
use tokio::task::JoinHandle;

use crate::{PATIENCE, batch, connect, foreign_client, new_log, next_event, next_message, patient, publish, settings};

/// Publishes one line after the other until told to stop; returns what was acknowledged.
fn keep_publishing(publisher: Publisher, name: String, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("{name}-{number}");
            match publish(&publisher, 0, batch(&name, 1)).await {
                Ok(_) => acknowledged.push(format!("{name}.0")),
                // Refused at once: a pause, so that the writers do not take the processor from what they wait for.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        acknowledged
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_line_is_read_exactly_once_though_the_server_is_killed_again_and_again() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig { messages_in_flight: 2, ..patient() });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|writer| keep_publishing(publisher.clone(), format!("w{writer}"), Arc::clone(&stop))).collect();
    let reading = Arc::clone(&stop);
    let mut reader = log.reader(0, 1, ReaderSettings::default());
    let reader = tokio::spawn(async move {
        let (mut counts, mut created) = (HashMap::<String, u32>::new(), 0);
        loop {
            match next_event(&mut reader).await {
                ReadEvent::Created { .. } => created += 1,
                ReadEvent::Message(message) => {
                    for line in std::str::from_utf8(&message.payload).unwrap().lines() {
                        *counts.entry(line.to_owned()).or_default() += 1;
                    }
                    if message.payload.starts_with(b"the end") {
                        assert!(reading.load(Ordering::Relaxed));
                        return (counts, created);
                    }
                }
            }
        }
    });
    for _ in 0..4 {
        let before = log.usage().await.unwrap().last_sequence;
        wait_until_async("some progress", PATIENCE, || async {
            log.usage().await.ok().filter(|usage| usage.last_sequence > before + 50)
        })
        .await
        .unwrap();
        server.kill().unwrap();
        server.restart().unwrap();
        wait_until_async("the log to answer again", PATIENCE, || async { log.usage().await.ok() }).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    publish(&publisher, 0, batch("the end", 1)).await.unwrap();
    let (counts, created) = reader.await.unwrap();
    assert!(created >= 5, "once, and after each restart: {created}");
    assert!(acknowledged.len() > 200);
    for line in &acknowledged {
        assert_eq!(counts.get(line), Some(&1), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_trouble_at_once_and_healed_by_itself() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let config = PublisherConfig {
        max_message_entries: 4,
        ack_timeout_ms: 300,
        give_up_after_ms: 1_200,
        ..PublisherConfig::default()
    };
    let publisher = Publisher::start(log.clone(), config);
    publish(&publisher, 0, batch("before", 1)).await.unwrap();
    server.stop_signal().unwrap();
    let sent = publisher.submit(0, batch("sent", 3)).unwrap();
    // The message that is on its way takes no more: what follows stays in the queue.
    let queued: Vec<_> = (0..3).map(|number| publisher.submit(0, batch(&format!("q{number}"), 2)).unwrap()).collect();
    for receipt in queued {
        assert_eq!(receipt.await.unwrap_err().kind, PublishErrorKind::NotSent);
    }
    assert!(!publisher.is_healthy());
    let refused = publisher.submit(0, batch("refused", 1)).unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::NotSent);
    assert_eq!(sent.await.unwrap_err().kind, PublishErrorKind::Unknown);
    server.continue_signal().unwrap();
    wait_until_async("health", PATIENCE, || async { publisher.is_healthy().then_some(()) }).await.unwrap();
    publish(&publisher, 0, batch("after", 1)).await.unwrap();
    let mut reader = log.reader(0, 1, ReaderSettings::default());
    let mut text = String::new();
    while !text.contains("after.0") {
        text.push_str(std::str::from_utf8(&next_message(&mut reader).await.payload).unwrap());
    }
    assert_eq!(text.matches("sent.0").count(), 1, "sent several times, stored once: {text}");
    assert!(!text.contains("q0") && !text.contains("refused"), "{text}");
}

/// While a log has no leader nobody acknowledges or answers, and connections to the other servers stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_another_leader_is_found_on_the_same_connection() {
    const LANES: u16 = 8;
    let mut cluster = NatsCluster::start().unwrap();
    let client = connect(cluster.node("nats-1").unwrap()).await;
    let three = LogSettings { replicas: 3, ..settings(LANES) };
    let made = || async { Log::ensure(&client, &three).await.ok() };
    let log = wait_until_async("a log of three copies", PATIENCE, made).await.unwrap();
    let leader = leader(&foreign_client(cluster.node("nats-1").unwrap()).await, log.stream_name()).await;
    let other = ["nats-1", "nats-2"].into_iter().find(|name| *name != leader).unwrap();
    let log = Log::open(&connect(cluster.node(other).unwrap()).await, 1).await.unwrap();
    let config = PublisherConfig { ack_timeout_ms: 1_000, give_up_after_ms: 1_000, ..PublisherConfig::default() };
    let publisher = Publisher::start(log, config);
    for lane in 0..LANES {
        let acknowledged = || async { publish(&publisher, lane, batch("before", 1)).await.ok() };
        wait_until_async("an acknowledgement", PATIENCE, acknowledged).await.unwrap();
    }
    cluster.node(&leader).unwrap().kill().unwrap();
    let unanswered: Vec<_> =
        (0..LANES).map(|lane| publisher.submit(lane, batch(&format!("lost-{lane}"), 1)).unwrap()).collect();
    for receipt in unanswered {
        receipt.await.unwrap_err();
    }
    for lane in 0..LANES {
        let acknowledged = || async { publish(&publisher, lane, batch(&format!("after-{lane}"), 1)).await.ok() };
        wait_until_async("an acknowledgement by the next leader", PATIENCE, acknowledged).await.unwrap();
    }
}

/// The server that leads the stream.
async fn leader(client: &async_nats::Client, stream: &str) -> String {
    let stream = async_nats::jetstream::new(client.clone()).get_stream(stream).await.unwrap();
    stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nothing_is_sent_and_that_is_certain() {
    let mut server = NatsServer::start().unwrap();
    let config = PublisherConfig { ack_timeout_ms: 300, give_up_after_ms: 1_000, ..PublisherConfig::default() };
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), config);
    publish(&publisher, 0, batch("before", 1)).await.unwrap();
    server.kill().unwrap();
    wait_until_async("the loss of the connection", PATIENCE, || async { log.usage().await.err() }).await.unwrap();
    let refused = publish(&publisher, 0, batch("down", 1)).await.unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::NotSent, "{refused}");
    server.restart().unwrap();
    wait_until_async("health", PATIENCE, || async { publisher.is_healthy().then_some(()) }).await.unwrap();
    let after = publish(&publisher, 0, batch("after", 1)).await.unwrap();
    assert_eq!(after.sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_smaller_server_would_refuse_may_be_on_the_log_since_the_attempt_before() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let foreign = foreign_client(&server).await;
    async_nats::jetstream::new(foreign.clone()).delete_stream(log.stream_name()).await.unwrap();
    let mut arrived = foreign.subscribe("launches.0").await.unwrap();
    foreign.flush().await.unwrap();
    let publisher = Publisher::start(log, patient());
    let unclear = publisher.submit(0, batch("long", 500)).unwrap();
    // It has left, and nobody answers.
    assert!(tokio::time::timeout(PATIENCE, arrived.next()).await.unwrap().is_some());
    let port = server.port();
    drop(server);
    let _smaller = NatsServer::options().port(port).max_payload(1_024).start().unwrap();
    assert_eq!(unclear.await.unwrap_err().kind, PublishErrorKind::Unknown);
    let refused = publish(&publisher, 0, batch("never sent", 500)).await.unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::Refused, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_restart_is_not_noticed_by_who_publishes() {
    let mut server = NatsServer::start().unwrap();
    let publisher = Publisher::start(new_log(&server, 1).await, patient());
    publish(&publisher, 0, batch("before", 1)).await.unwrap();
    server.kill().unwrap();
    let receipt = publisher.submit(0, batch("meanwhile", 1)).unwrap();
    server.restart().unwrap();
    let published = receipt.await.unwrap();
    assert_eq!(published.sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_says_that_it_began_anew_after_a_restart_and_after_a_standstill() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), patient());
    publish(&publisher, 0, batch("one", 1)).await.unwrap();
    let mut reader = log.reader(0, 1, ReaderSettings { silence_ms: 600, ..ReaderSettings::default() });
    assert_eq!(next_message(&mut reader).await.sequence, 1);
    server.restart().unwrap();
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 2 });
    // It may have begun anew twice: when the server went, and when it came.
    while tokio::time::timeout(Duration::from_secs(1), reader.next()).await.is_ok() {}
    server.stop_signal().unwrap();
    let standstill = tokio::time::timeout(Duration::from_secs(3), reader.next()).await;
    assert!(!matches!(standstill, Ok(Ok(_))), "{standstill:?}");
    server.continue_signal().unwrap();
    publish(&publisher, 0, batch("two", 1)).await.unwrap();
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 2 });
    assert_eq!(next_message(&mut reader).await.sequence, 2);
}
