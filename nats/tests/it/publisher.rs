use std::{collections::HashSet, time::Duration};

use nats::{LogSettings, PublishErrorKind, Publisher, PublisherConfig, ReaderSettings};
use testkit::{NatsServer, wait_until_async};
use tokio::time::Instant;

use crate::{PATIENCE, batch, connect, foreign_client, new_log, next_message, patient, publish, read_lines, settings};

#[tokio::test(flavor = "multi_thread")]
async fn what_gathers_leaves_packed_and_everybody_learns_their_place() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let receipts: Vec<_> = (0..500)
        .map(|number| (number, publisher.submit(0, batch(&format!("n{number}"), 1 + number % 3)).unwrap()))
        .collect();
    for (number, receipt) in receipts {
        let published = receipt.await.unwrap();
        let message = log.message_at(published.sequence).await.unwrap().unwrap();
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        let line = text.lines().nth(published.first_line as usize - 1).unwrap();
        assert_eq!(line, format!("n{number}.0"));
    }
    let messages = log.usage().await.unwrap().messages;
    assert!(messages < 250, "{messages} messages for 500 batches");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_launch_again_is_a_duplicate_at_the_first_place() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    for entries in [1, 5] {
        let stored_before = log.launches_stored();
        let first = publish(&publisher, 0, batch("same", entries)).await.unwrap();
        let second = publish(&publisher, 0, batch("same", entries)).await.unwrap();
        assert!(!first.duplicate && second.duplicate);
        assert_eq!((first.sequence, first.first_line), (second.sequence, second.first_line));
        assert_eq!(log.launches_stored() - stored_before, u64::from(entries), "the log has it once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_stay_inside_their_bounds_and_batches_whole() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let config = PublisherConfig { max_message_entries: 10, max_message_bytes: 200, ..PublisherConfig::default() };
    let publisher = Publisher::start(log.clone(), config);
    let receipts: Vec<_> =
        (0..60).map(|number| publisher.submit(0, batch(&format!("b{number:02}"), 4)).unwrap()).collect();
    let mut places = HashSet::new();
    for receipt in receipts {
        let published = receipt.await.unwrap();
        assert!(places.insert((published.sequence, published.first_line)));
    }
    let mut reader = log.reader(0, 1, ReaderSettings::default());
    let mut lines = 0;
    while lines < 240 {
        let message = next_message(&mut reader).await;
        let count = message.payload.iter().filter(|byte| **byte == b'\n').count();
        assert!(count <= 10 && count % 4 == 0 && message.payload.len() <= 200, "{count} lines");
        lines += count;
    }
    let refused = publisher.submit(0, batch("long", 11)).unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_refuses_and_says_so() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    let log = nats::Log::ensure(&client, &LogSettings { max_bytes: 20_000, ..settings(1) }).await.unwrap();
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let mut stored = 0;
    let refused = loop {
        match publish(&publisher, 0, batch(&format!("fill-{stored}"), 50)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind, PublishErrorKind::LogFull);
    assert!(refused.retry_after_s >= 1);
    let usage = log.usage().await.unwrap();
    assert_eq!(usage.messages, stored);
    assert!(stored > 5 && usage.bytes <= 20_000);
    assert!(publisher.is_healthy(), "the log answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_quota_of_the_server_is_a_full_log() {
    let server = NatsServer::options().max_file_store(64 * 1024).start().unwrap();
    let publisher = Publisher::start(new_log(&server, 1).await, PublisherConfig::default());
    let refused = loop {
        if let Err(error) = publish(&publisher, 0, batch("fill", 100 + rand_entries())).await {
            break error;
        }
    };
    assert_eq!(refused.kind, PublishErrorKind::LogFull, "{refused}");
}

/// Different at each call, so that no message is a duplicate.
fn rand_entries() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_room_refuses_at_once_and_the_patient_caller_waits() {
    let mut server = NatsServer::start().unwrap();
    let config = PublisherConfig { max_message_entries: 8, queue_entries: 8, ..patient() };
    let publisher = Publisher::start(new_log(&server, 1).await, config);
    publish(&publisher, 0, batch("first", 1)).await.unwrap();
    server.stop_signal().unwrap();
    let mut receipts = Vec::new();
    let refused = loop {
        match publisher.submit(0, batch(&format!("x{}", receipts.len()), 4)) {
            Ok(receipt) => receipts.push(receipt),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind, PublishErrorKind::NotSent);
    assert!(receipts.len() <= 4, "one message on its way and a full queue");
    let waiting = tokio::spawn({
        let publisher = publisher.clone();
        async move { publish(&publisher, 0, batch("waits", 4)).await }
    });
    server.continue_signal().unwrap();
    waiting.await.unwrap().unwrap();
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_vanished_is_refused_and_one_that_is_another_too() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 1).await;
    let config = PublisherConfig { ack_timeout_ms: 300, give_up_after_ms: 1_000, ..PublisherConfig::default() };
    let publisher = Publisher::start(log.clone(), config);
    publish(&publisher, 0, batch("before", 1)).await.unwrap();
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    stream.delete_stream(log.stream_name()).await.unwrap();
    let gone = publish(&publisher, 0, batch("gone", 1)).await.unwrap_err();
    assert_eq!(gone.kind, PublishErrorKind::NotSent, "nobody answers for the subject: {gone}");
    assert!(!publisher.is_healthy());
    let other = async_nats::jetstream::stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["launches.*".to_owned()],
        ..Default::default()
    };
    stream.create_stream(other).await.unwrap();
    let fresh = Publisher::start(log, PublisherConfig::default());
    let refused = publish(&fresh, 0, batch("other", 1)).await.unwrap_err();
    assert_eq!(refused.kind, PublishErrorKind::Refused, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_drains_what_was_taken_and_takes_nothing_more() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 3).await;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let receipts: Vec<_> =
        (0..90_u16).map(|number| publisher.submit(number % 3, batch(&format!("c{number}"), 2)).unwrap()).collect();
    publisher.close(Instant::now() + PATIENCE).await;
    for mut receipt in receipts {
        let outcome = futures_util::FutureExt::now_or_never(&mut receipt).expect("everything has an outcome");
        outcome.unwrap();
    }
    assert_eq!(publisher.submit(0, batch("late", 1)).unwrap_err().kind, PublishErrorKind::NotSent);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_in_vain_ends_at_the_deadline_with_honest_answers() {
    let mut server = NatsServer::start().unwrap();
    // The queue has room for one: it takes another when the first is on its way.
    let one = PublisherConfig { queue_entries: 1, max_message_entries: 1, ..patient() };
    let publisher = Publisher::start(new_log(&server, 1).await, one);
    publish(&publisher, 0, batch("first", 1)).await.unwrap();
    server.stop_signal().unwrap();
    let sent = publisher.submit(0, batch("sent", 1)).unwrap();
    let queued = publisher.submit_waiting(0, batch("queued", 1)).await.unwrap();
    publisher.close(Instant::now() + Duration::from_millis(200)).await;
    assert_eq!(sent.await.unwrap_err().kind, PublishErrorKind::Unknown);
    assert_eq!(queued.await.unwrap_err().kind, PublishErrorKind::NotSent);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_publishers_share_the_lanes_and_nothing_is_lost_or_doubled() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let mut writers = Vec::new();
    for writer in 0..8 {
        let config = PublisherConfig { messages_in_flight: 1 + writer % 2, ..PublisherConfig::default() };
        let publisher = Publisher::start(nats::Log::open(&connect(&server).await, 1).await.unwrap(), config);
        writers.push(tokio::spawn(async move {
            let mut receipts = Vec::new();
            for number in 0..200_u16 {
                let name = format!("w{writer}-{number}");
                receipts.push(publisher.submit_waiting(number % 2, batch(&name, 1)).await.unwrap());
            }
            for receipt in receipts {
                receipt.await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for partition in 0..2 {
        let lines = read_lines(&mut log.reader(partition, 1, ReaderSettings::default()), 800).await;
        let distinct: HashSet<_> = lines.iter().collect();
        assert_eq!((lines.len(), distinct.len()), (800, 800));
    }
}

/// Lets the lanes do all that they can without an answer.
async fn let_lanes_run() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lanes_take_turns_and_gather_until_theirs_comes() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let config = PublisherConfig { all_messages_in_flight: 1, turn_patience_ms: 60_000, ..patient() };
    let publisher = Publisher::start(log.clone(), config);
    // The lanes are there.
    for lane in 0..2 {
        publish(&publisher, lane, batch(&format!("first{lane}"), 1)).await.unwrap();
    }
    server.stop_signal().unwrap();
    let before = publisher.submit(0, batch("before", 1)).unwrap();
    let_lanes_run().await;
    let one = publisher.submit(1, batch("one", 1)).unwrap();
    let_lanes_run().await;
    let other = publisher.submit(1, batch("other", 1)).unwrap();
    let_lanes_run().await;
    server.continue_signal().unwrap();
    let (before, one, other) = (before.await.unwrap(), one.await.unwrap(), other.await.unwrap());
    assert!(before.sequence < one.sequence);
    assert_eq!((one.sequence, one.first_line, other.first_line), (other.sequence, 1, 2));
}

#[tokio::test]
async fn more_lanes_than_turns_hear_their_answers_while_they_have_more_to_send() {
    const LANES: u16 = 12;
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, LANES).await;
    let publisher = Publisher::start(log, PublisherConfig { turn_patience_ms: 600_000, ..patient() });
    let submit_to_all = |round: u32| {
        // Two of them are too long for one message.
        let large = |lane| batch(&format!("{round}.{lane}.{}", "x".repeat(100)), 2_500);
        (0..LANES).map(|lane| publisher.submit(lane, large(lane)).unwrap()).collect::<Vec<_>>()
    };
    server.stop_signal().unwrap();
    let first = submit_to_all(1);
    let_lanes_run().await;
    let second = submit_to_all(2);
    let_lanes_run().await;
    server.continue_signal().unwrap();
    for receipt in first.into_iter().chain(second) {
        tokio::time::timeout(PATIENCE, receipt).await.expect("no lane waits for itself").unwrap();
    }
}

#[tokio::test]
async fn a_lane_whose_turn_does_not_come_goes_without() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let config = PublisherConfig { all_messages_in_flight: 1, turn_patience_ms: 10, ack_timeout_ms: 500, ..patient() };
    let publisher = Publisher::start(log.clone(), config);
    server.stop_signal().unwrap();
    let receipts = [0, 1].map(|lane| publisher.submit(lane, batch(&format!("here{lane}"), 1)).unwrap());
    // Both lanes have sent and miss the answer: neither takes anything more.
    wait_until_async("both lanes to be in trouble", PATIENCE, || async {
        let refused = |lane| publisher.submit(lane, batch("more", 1)).is_err();
        (refused(0) && refused(1)).then_some(())
    })
    .await
    .unwrap();
    server.continue_signal().unwrap();
    for receipt in receipts {
        receipt.await.unwrap();
    }
}
