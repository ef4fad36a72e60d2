use std::time::Duration;

use bytes::Bytes;
use nats::{NatsErrorKind, Publisher, PublisherConfig, ReadEvent, ReaderSettings};
use testkit::NatsServer;

use crate::{PATIENCE, batch, foreign_client, new_log, next_event, next_message, publish, read_lines};

fn impatient() -> ReaderSettings {
    ReaderSettings { silence_ms: 600, ..ReaderSettings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_read_in_order_from_anywhere_with_holes_in_the_sequence() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 3).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let mut sequences = Vec::new();
    for number in 0..60_u16 {
        let published = publish(&publisher, number % 3, batch(&format!("m{number}"), 1)).await.unwrap();
        if number % 3 == 1 {
            sequences.push(published.sequence);
        }
    }
    let mut reader = log.reader(1, 1, ReaderSettings::default());
    assert_eq!(reader.next().await.unwrap(), ReadEvent::Created { at: 1 });
    for sequence in &sequences {
        let message = next_message(&mut reader).await;
        assert_eq!(message.sequence, *sequence);
        assert_eq!(Some(&message), log.message_at(*sequence).await.unwrap().as_ref(), "time and payload, too");
        assert_eq!(reader.next_sequence(), sequence + 1);
    }
    let mut later = log.reader(1, sequences[5] + 1, ReaderSettings::default());
    assert_eq!(later.next().await.unwrap(), ReadEvent::Created { at: sequences[5] + 1 });
    assert_eq!(next_message(&mut later).await.sequence, sequences[6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_reader_gets_what_comes_without_beginning_anew() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let mut reader = log.reader(0, 1, impatient());
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 1 });
    // Several silences long: the server's heartbeats keep the consumer.
    let idle = tokio::time::timeout(Duration::from_millis(2_500), reader.next()).await;
    assert!(idle.is_err(), "{idle:?}");
    let publisher = Publisher::start(log, PublisherConfig::default());
    publish(&publisher, 0, batch("late", 1)).await.unwrap();
    assert!(matches!(next_event(&mut reader).await, ReadEvent::Message(message) if message.sequence == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_follow_each_other_without_beginning_anew() {
    let server = NatsServer::options().max_payload(256 * 1024).without_sync().start().unwrap();
    let log = new_log(&server, 1).await;
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    let sizes: Vec<usize> = (0..600_usize).map(|number| 1 + (number * 7_919) % 200_000).collect();
    for size in &sizes {
        stream.publish("launches.0", Bytes::from(vec![b'x'; *size])).await.unwrap().await.unwrap();
    }
    // Small pulls end by bytes, by count, and in the middle.
    let settings = ReaderSettings { pull_bytes: 1, pull_messages: 14, ..impatient() };
    let mut reader = log.reader(0, 1, settings);
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 1 });
    for (sequence, size) in (1..).zip(&sizes) {
        let ReadEvent::Message(message) = next_event(&mut reader).await else { panic!("began anew at {sequence}") };
        assert_eq!((message.sequence, message.payload.len()), (sequence, *size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_empty_messages_are_passed_in_seconds() {
    const EMPTY: u64 = 200_000;
    // The server drops what nobody waits for once 10,000 messages queue for a stream.
    const UNACKNOWLEDGED: u64 = 5_000;
    let server = NatsServer::options().without_sync().start().unwrap();
    let log = new_log(&server, 1).await;
    let client = foreign_client(&server).await;
    let stream = async_nats::jetstream::new(client.clone());
    for number in 1..=EMPTY {
        if number % UNACKNOWLEDGED == 0 {
            stream.publish("launches.0", Bytes::new()).await.unwrap().await.unwrap();
        } else {
            client.publish("launches.0", Bytes::new()).await.unwrap();
        }
    }
    assert_eq!(log.usage().await.unwrap().messages, EMPTY);
    let mut reader = log.reader(0, 1, ReaderSettings::default());
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 1 });
    for sequence in 1..=EMPTY {
        let ReadEvent::Message(message) = next_event(&mut reader).await else { panic!("began anew at {sequence}") };
        assert!(message.sequence == sequence && message.payload.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_vanishes_is_made_anew_at_the_next_wanted_sequence() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    publish(&publisher, 0, batch("one", 1)).await.unwrap();
    let mut reader = log.reader(0, 1, impatient());
    assert_eq!(next_message(&mut reader).await.sequence, 1);
    let stream = async_nats::jetstream::new(foreign_client(&server).await).get_stream("LAUNCHES").await.unwrap();
    let names: Vec<String> = futures_util::TryStreamExt::try_collect(stream.consumer_names()).await.unwrap();
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 2 });
    publish(&publisher, 0, batch("two", 1)).await.unwrap();
    assert_eq!(next_message(&mut reader).await.sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_missing_is_noticed_by_its_number() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    publish(&publisher, 0, batch("one", 1)).await.unwrap();
    let mut reader = log.reader(0, 1, impatient());
    assert_eq!(next_message(&mut reader).await.sequence, 1);
    // Somebody else pulls one message from this reader's consumer: what comes to the reader then leaves a hole.
    let client = foreign_client(&server).await;
    let stream = async_nats::jetstream::new(client.clone()).get_stream("LAUNCHES").await.unwrap();
    let names: Vec<String> = futures_util::TryStreamExt::try_collect(stream.consumer_names()).await.unwrap();
    let thief = client.subscribe("thief").await.unwrap();
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.LAUNCHES.{}", names[0]);
    for _ in 0..8 {
        client.publish_with_reply(next.clone(), "thief", r#"{"batch":1,"expires":30000000000}"#.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    for number in 0..12 {
        publish(&publisher, 0, batch(&format!("more-{number}"), 1)).await.unwrap();
    }
    let mut anew = 0;
    let mut wanted = 2;
    while wanted <= 13 {
        match next_event(&mut reader).await {
            ReadEvent::Message(message) => {
                assert_eq!(message.sequence, wanted);
                wanted += 1;
            }
            ReadEvent::Created { at } => {
                assert_eq!(at, wanted);
                anew += 1;
            }
        }
    }
    assert!(anew >= 1, "something was taken away");
    drop(thief);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_loses_nothing() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let writer = tokio::spawn(async move {
        for number in 0..300 {
            publish(&publisher, 0, batch(&format!("m{number}"), 1)).await.unwrap();
        }
    });
    let mut reader = log.reader(0, 1, ReaderSettings::default());
    let (mut sequence, mut cancelled) = (0, 0);
    while sequence < 300 {
        match tokio::time::timeout(Duration::from_micros(300), reader.next()).await {
            Err(_) => cancelled += 1,
            Ok(event) => {
                if let ReadEvent::Message(message) = event.unwrap() {
                    sequence += 1;
                    assert_eq!(message.sequence, sequence);
                }
            }
        }
    }
    assert!(cancelled > 0, "the test did not cancel anything");
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_what_was_read_is_refused() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    publish(&publisher, 0, batch("one", 1)).await.unwrap();
    // As if nine more messages had been read and then lost.
    let mut reader = log.reader(0, 11, impatient());
    assert_eq!(next_event(&mut reader).await, ReadEvent::Created { at: 11 });
    publish(&publisher, 0, batch("again", 1)).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, async {
        loop {
            match reader.next().await {
                Ok(ReadEvent::Created { .. }) => {}
                other => return other,
            }
        }
    });
    assert_eq!(outcome.await.unwrap().unwrap_err().kind, NatsErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lanes_are_read_at_once() {
    let server = NatsServer::options().without_sync().start().unwrap();
    let log = new_log(&server, 4).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let mut receipts = Vec::new();
    for number in 0..4_000_u16 {
        receipts.push(publisher.submit_waiting(number % 4, batch(&format!("m{number}"), 50)).await.unwrap());
    }
    let readers: Vec<_> = (0..4)
        .map(|partition| {
            let mut reader = log.reader(partition, 1, ReaderSettings::default());
            tokio::spawn(async move { read_lines(&mut reader, 50_000).await.len() })
        })
        .collect();
    for receipt in receipts {
        receipt.await.unwrap();
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 50_000);
    }
}
