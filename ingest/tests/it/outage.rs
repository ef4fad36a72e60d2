//! The log is away, stands still, or is full.

use std::time::{Duration, Instant};

use ingest::IngestConfig;
use serde_json::json;
use testkit::wait_until_async;

use crate::support::{Answer, DEADLINE, Setup, TestIngest, launch, lines};

/// Far below the publisher's patience of ten seconds: "at once" for a person and a load balancer.
const SOON: Duration = Duration::from_secs(8);

fn patient() -> Setup {
    let mut config = IngestConfig::default();
    config.publisher.ack_timeout_ms = 300;
    config.publisher.give_up_after_ms = 1_500;
    Setup { config, ..Setup::default() }
}

fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.retry_after.is_some_and(|seconds| seconds >= 1), "{answer:?}");
}

async fn until_accepted(ingest: &TestIngest, id: &str) {
    let body = launch(id);
    let accepted = async || matches!(ingest.post(&body).await.status, 200 | 201).then_some(());
    wait_until_async("acceptance", DEADLINE, accepted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_means_503_soon_and_recovery_by_itself() {
    let mut ingest = patient().start().await;
    assert_eq!(ingest.post(&launch("before")).await.status, 201);
    ingest.server.kill().unwrap();
    let started = Instant::now();
    for attempt in 0..3 {
        let refused = ingest.post(&launch("during")).await;
        is_refused(&refused);
        assert!(started.elapsed() < SOON, "{attempt}");
        if refused.slug() == "outcome_unknown" {
            assert_eq!((&refused.body["id"], &refused.body["date"]), (&json!("during"), &json!("2026-11-22")));
        }
    }
    ingest.until_not_ready("there is no connection").await;
    let known = ingest.post(&launch("before")).await;
    is_refused(&known);
    assert_eq!((known.slug(), &known.body["id"]), ("outcome_unknown", &json!("before")), "it stands there");
    ingest.server.restart().unwrap();
    until_accepted(&ingest, "during").await;
    ingest.until_ready().await;
    assert_eq!(ingest.post(&launch("before")).await.status, 200);
    assert_eq!(ingest.logged().await.len(), 2, "repeated and counted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_leaves_outcomes_unknown_until_it_goes_on() {
    let mut ingest = patient().start().await;
    ingest.server.stop_signal().unwrap();
    let mut bare = launch("x");
    bare.as_object_mut().unwrap().remove("id");
    bare.as_object_mut().unwrap().remove("date");
    let unknown = ingest.post(&bare).await;
    is_refused(&unknown);
    assert_eq!(unknown.slug(), "outcome_unknown");
    let mut named = bare.clone();
    named["id"] = unknown.body["id"].clone();
    named["date"] = unknown.body["date"].clone();
    let mut other = named.clone();
    other["amount"] = json!("1.00");
    let pending = ingest.post(&other).await;
    is_refused(&pending);
    assert_eq!(pending.slug(), "id_pending");
    let pending = ingest.post_lines(other.to_string()).await;
    is_refused(&pending);
    assert_eq!((pending.slug(), pending.body["first_uncertain_line"].as_u64()), ("id_pending", Some(1)));
    is_refused(&ingest.post(&launch("queued-behind")).await);
    // Not what the lanes see of it, that nothing is acknowledged, but what the probe knows.
    ingest.until_not_ready("JetStream does not answer").await;
    ingest.server.continue_signal().unwrap();
    wait_until_async("acceptance", DEADLINE, async || {
        matches!(ingest.post(&named).await.status, 200 | 201).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(ingest.post(&other).await.status, 409);
    let logged = ingest.logged().await;
    let of_named: Vec<_> = logged.iter().filter(|(_, launch)| launch.id.as_str() == named["id"]).collect();
    assert!(!of_named.is_empty());
    assert!(of_named.iter().all(|(_, launch)| launch.content_digest == of_named[0].1.content_digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_breaks_midway_says_what_is_certain_and_can_be_posted_again() {
    let mut ingest = patient().start().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(4);
    let chunks = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let request = ingest.request("application/x-ndjson").body(reqwest::Body::wrap_stream(chunks));
    let post = tokio::spawn(crate::support::answer(request));
    sender.send(Ok(lines(0..3_000).join("\n") + "\n")).await.unwrap();
    // On the log is not enough: ingest must have been told, or nothing of it is certain.
    let acknowledged = async || (ingest.metric("saldo_ingest_recent_entries").await? >= 3_000.0).then_some(());
    wait_until_async("the first lines acknowledged", DEADLINE, acknowledged).await.unwrap();
    ingest.server.kill().unwrap();
    let mut next = 3_000;
    while sender.send(Ok(lines(next..next + 1_000).join("\n") + "\n")).await.is_ok() {
        next += 1_000;
        // The client's own pace: it sends until it is cut off, and should not have sent gigabytes by then.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(sender);
    let broken = post.await.unwrap();
    is_refused(&broken);
    let accepted = broken.body["accepted"].as_u64().unwrap();
    let uncertain = broken.body["first_uncertain_line"].as_u64().unwrap();
    assert!(accepted >= 3_000 && uncertain > 3_000, "{broken:?}");
    assert!(broken.body["position"].is_string());
    ingest.server.restart().unwrap();
    ingest.until_ready().await;
    let text = lines(0..next).join("\n");
    let again = wait_until_async("acceptance", DEADLINE, async || {
        let answer = ingest.post_lines(text.clone()).await;
        (answer.status == 200).then_some(answer)
    });
    let again = again.await.unwrap();
    let total = again.body["accepted"].as_u64().unwrap() + again.body["duplicates"].as_u64().unwrap();
    assert_eq!(total, next as u64);
    let ids: std::collections::BTreeSet<_> =
        ingest.logged().await.into_iter().map(|(_, launch)| launch.id.to_string()).collect();
    assert_eq!(ids.len(), next, "every line is there; before the repetition all certain ones were");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_refuses_and_goes_on_when_it_has_room() {
    let ingest = Setup { max_bytes: 1_500_000, ..patient() }.start().await;
    let filling = wait_until_async("a full log", DEADLINE, async || {
        let start = usize::try_from(ingest.log.usage().await.unwrap().last_sequence).unwrap() * 10_000;
        let answer = ingest.post_lines(lines(start..start + 2_000).join("\n")).await;
        (answer.status != 200).then_some(answer)
    });
    let full = filling.await.unwrap();
    is_refused(&full);
    assert_eq!(full.slug(), "log_full");
    ingest.until_not_ready("the log is full").await;
    let roomy = nats::LogSettings { partitions: 4, replicas: 1, max_bytes: 100_000_000, epoch: 1 };
    nats::Log::ensure(&ingest.client, &roomy).await.unwrap();
    until_accepted(&ingest, "after").await;
    ingest.until_ready().await;
}
