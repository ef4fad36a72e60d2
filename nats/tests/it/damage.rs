//! Blocks of the log that are damaged while the server is down.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use nats::{Log, LogError, Publisher};
use testkit::{NatsServer, wait_until_async};

use crate::{PATIENCE, batch, connect, foreign_client, new_log, patient, publish, settings};

/// Enough for more than one block of 8 MiB.
const MESSAGES: u64 = 3_000;

fn blocks(server: &NatsServer) -> PathBuf {
    server.store_dir().join("jetstream/$G/streams/LAUNCHES/msgs")
}

/// A log of two blocks and more, and its server, which is stopped.
async fn stopped_log() -> NatsServer {
    let mut server = NatsServer::options().without_sync().start().unwrap();
    let log = new_log(&server, 2).await;
    let stream = async_nats::jetstream::new(foreign_client(&server).await);
    let mut acknowledged = Vec::new();
    for number in 0..MESSAGES {
        let payload = Bytes::from(format!("{number} {}", "x".repeat(4_000)));
        acknowledged.push(stream.publish(format!("launches.{}", number % 2), payload).await.unwrap());
        if acknowledged.len() == 100 {
            for acknowledgement in acknowledged.drain(..) {
                acknowledgement.await.unwrap();
            }
        }
    }
    assert!(log.missing().await.unwrap().is_empty());
    assert_eq!(log.usage().await.unwrap().last_sequence, MESSAGES);
    server.stop().unwrap();
    assert!(blocks(&server).join("2.blk").exists());
    server
}

async fn missing_after(damage: impl FnOnce(&Path)) -> Result<Vec<(u64, u64)>, LogError> {
    let mut server = stopped_log().await;
    damage(&blocks(&server));
    server.restart().unwrap();
    let log = Log::open(&connect(&server).await, 1).await?;
    let missing = log.missing().await.unwrap();
    Ok(missing.ranges().iter().map(|range| (*range.start(), *range.end())).collect())
}

fn flip(block: &Path, place: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(block).unwrap();
    let place = place(bytes.len());
    bytes[place] ^= 0x40;
    fs::write(block, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_costs_one_message_and_that_is_found() {
    let missing = missing_after(|blocks| flip(&blocks.join("1.blk"), |length| length / 2)).await.unwrap();
    assert!(matches!(missing[..], [(first, last)] if first == last && first > 1), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_when_the_index_is_lost_too() {
    let damage = |blocks: &Path| {
        flip(&blocks.join("1.blk"), |length| length / 2);
        fs::remove_file(blocks.join("index.db")).unwrap();
    };
    assert!(!missing_after(damage).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_length_is_found() {
    let missing = missing_after(|blocks| flip(&blocks.join("1.blk"), |_| 1)).await;
    assert!(missing.as_ref().is_err() || missing.as_ref().is_ok_and(|missing| !missing.is_empty()), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_block_is_found() {
    let damage = |blocks: &Path| {
        let bytes = fs::read(blocks.join("1.blk")).unwrap();
        fs::write(blocks.join("1.blk"), &bytes[..bytes.len() * 9 / 10]).unwrap();
    };
    let missing = missing_after(damage).await.unwrap();
    assert!(matches!(missing[..], [(first, last)] if first > 1 && first < last), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_first_block_is_refused_and_names_what_is_left() {
    let error = missing_after(|blocks| fs::remove_file(blocks.join("1.blk")).unwrap()).await.unwrap_err();
    assert!(matches!(&error, LogError::NotOurs(text) if text.contains("begins with sequence")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_blocks_removed_is_refused() {
    let damage = |blocks: &Path| {
        for block in fs::read_dir(blocks).unwrap().map(|entry| entry.unwrap().path()) {
            if block.extension().is_some_and(|extension| extension == "blk") {
                fs::remove_file(block).unwrap();
            }
        }
    };
    let error = missing_after(damage).await.unwrap_err();
    assert!(matches!(&error, LogError::NotOurs(text) if text.contains("begins with sequence 3001")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undamaged_log_has_no_holes_while_it_is_written_and_its_server_restarts() {
    let mut server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let publisher = Publisher::start(log.clone(), patient());
    let writing = tokio::spawn(async move {
        for number in 0..1_500_u16 {
            publish(&publisher, number % 2, batch(&format!("n-{number}"), 3)).await.unwrap();
        }
    });
    let mut audits = 0;
    while !writing.is_finished() {
        if let Ok(missing) = log.missing().await {
            assert!(missing.is_empty(), "{missing}");
            audits += 1;
        }
        if audits == 3 {
            server.restart().unwrap();
            audits += 1;
        }
    }
    writing.await.unwrap();
    assert!(audits > 4, "{audits}");
    let whole = async || log.missing().await.ok();
    let missing = wait_until_async("an audit", PATIENCE, whole).await.unwrap();
    assert!(missing.is_empty() && log.usage().await.unwrap().last_sequence == 1_500);
    assert_eq!(Log::ensure(&connect(&server).await, &settings(2)).await.unwrap().identity(), log.identity());
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_is_missing_is_accepted_and_nothing_that_is_to_come() {
    for damage in ["it begins later", "it has a hole"] {
        let mut server = stopped_log().await;
        let block = blocks(&server).join("1.blk");
        match damage {
            "it begins later" => fs::remove_file(block).unwrap(),
            _ => flip(&block, |length| length / 2),
        }
        server.restart().unwrap();
        let client = connect(&server).await;
        let accept = async || Log::accept_loss(&client, 1).await.ok();
        let missing = wait_until_async("an audit", PATIENCE, accept).await.unwrap();
        assert_eq!(missing.ranges().len(), 1, "{damage}: {missing}");
        let log = Log::open(&client, 1).await.unwrap();
        assert!(log.missing().await.unwrap().is_empty(), "{damage}");
        let usage = log.usage().await.unwrap();
        assert_eq!((usage.accepted_loss, usage.last_sequence), (missing.messages(), MESSAGES), "{damage}");

        let beyond = format!("{},{}-{}", missing.ranges()[0].start(), MESSAGES, MESSAGES + 9);
        let stream = async_nats::jetstream::new(foreign_client(&server).await);
        let mut config = stream.get_stream("LAUNCHES").await.unwrap().cached_info().config.clone();
        config.metadata.insert("saldo.accepted_loss".to_owned(), beyond);
        stream.update_stream(config).await.unwrap();
        for error in [log.verify().await.unwrap_err(), Log::open(&client, 1).await.unwrap_err()] {
            assert!(error.to_string().contains("saldo log accept-loss") && !error.retry_helps(), "{error}");
        }
        let again = Log::accept_loss(&client, 1).await.unwrap();
        assert_eq!(again, missing, "{damage}");
        log.verify().await.unwrap();
    }
}
