//! The log becomes another one, or less than it was, while ingest runs.

use std::time::Instant;

use nats::{Log, LogSettings};
use testkit::{copy_folder, wait_until_async};

use crate::support::{DEADLINE, PARTITIONS, TestIngest, launch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_while_a_setting_makes_the_log_drop_messages() {
    let ingest = TestIngest::start().await;
    assert_eq!(ingest.post(&launch("before")).await.status, 201);
    assert!(ingest.nats(&["stream", "edit", "LAUNCHES", "--max-msgs-per-subject=2", "--force"]).await);
    ingest.until_not_ready("max_msgs_per_subject is 2").await;
    let refused = ingest.post(&launch("during")).await;
    assert_eq!((refused.status, refused.slug()), (503, "log_unavailable"));
    assert!(ingest.nats(&["stream", "edit", "LAUNCHES", "--max-msgs-per-subject=-1", "--force"]).await);
    ingest.until_ready().await;
    assert_eq!(ingest.post(&launch("after")).await.status, 201);
    assert_eq!(ingest.logged().await.len(), 2);
}

async fn until_accepted(ingest: &TestIngest, id: &str) {
    let accepted = async || matches!(ingest.post(&launch(id)).await.status, 200 | 201).then_some(());
    wait_until_async("acceptance", DEADLINE, accepted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_end_stops_posting_until_a_start() {
    let mut ingest = TestIngest::start().await;
    assert_eq!(ingest.post(&launch("kept")).await.status, 201);
    ingest.server.stop().unwrap();
    let older = testkit::temp_folder().unwrap();
    copy_folder(&ingest.server.store_dir(), older.path()).unwrap();
    ingest.server.restart().unwrap();
    until_accepted(&ingest, "lost").await;
    ingest.until_ready().await;

    ingest.server.kill().unwrap();
    std::fs::remove_dir_all(ingest.server.store_dir()).unwrap();
    copy_folder(older.path(), &ingest.server.store_dir()).unwrap();
    ingest.server.restart().unwrap();
    nothing_is_told_from_memory(&ingest, "lost", "the log lost its end").await;
    ingest.until_not_ready("the log lost its end").await;
    for id in ["lost", "kept", "new"] {
        let refused = ingest.post(&launch(id)).await;
        assert_eq!((refused.status, refused.slug()), (503, "log_unavailable"), "{id}");
    }
    // Counted with each look of the probe.
    let forgotten = async || (ingest.metric("saldo_ingest_recent_entries").await? == 0.0).then_some(());
    wait_until_async("the launches to be forgotten", DEADLINE, forgotten).await.unwrap();

    ingest.log = nats::Log::open(&ingest.client, 1).await.unwrap();
    ingest.restart().await;
    assert_eq!(ingest.post(&launch("lost")).await.status, 201);
    assert_eq!(ingest.post(&launch("kept")).await.status, 200);
    assert_eq!(ingest.logged().await.len(), 2);
}

/// The log has become another one, or less, before this is called. Until that shows, and a while longer, everything that memory
/// could answer is posted without a pause.
async fn nothing_is_told_from_memory(ingest: &TestIngest, id: &str, why: &str) {
    let other =
        serde_json::Value::from_iter(launch(id).as_object().unwrap().clone().into_iter().map(|(key, value)| {
            let value = if key == "amount" { "1.00".into() } else { value };
            (key, value)
        }));
    let begun = Instant::now();
    let is_noticed = async || {
        let ready = ingest.http.get(ingest.url("/health/ready")).send().await.unwrap();
        ready.text().await.unwrap().contains(why)
    };
    let (mut rounds, mut noticed) = (0, 0);
    while noticed < 20 {
        assert!(begun.elapsed() < DEADLINE, "{why}");
        let repeated = ingest.post(&launch(id)).await;
        // Posts are refused once the look has found it; what came before that is of unknown outcome.
        let slugs = ["log_unavailable", "outcome_unknown"];
        assert!(repeated.status == 503 && slugs.contains(&repeated.slug()), "round {rounds}: {repeated:?}");
        let conflict = ingest.post(&other).await;
        assert_eq!(conflict.status, 503, "round {rounds}: {conflict:?}");
        let bulk = ingest.post_lines(format!("{}\n{other}\n", launch(id))).await;
        assert_eq!(bulk.status, 503, "round {rounds}: {bulk:?}");
        // What is refused before its body is read has no counts.
        assert_eq!(bulk.body["duplicates"].as_u64().unwrap_or(0), 0, "round {rounds}: {bulk:?}");
        assert_eq!(bulk.body["rejected"].as_u64().unwrap_or(0), 0, "round {rounds}: {bulk:?}");
        rounds += 1;
        noticed += u32::from(noticed > 0 || is_noticed().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_knows_is_not_told_of_a_log_that_was_made_anew_a_moment_ago() {
    let ingest = TestIngest::start().await;
    assert_eq!(ingest.post(&launch("lost")).await.status, 201);
    assert_eq!(ingest.post(&launch("lost")).await.status, 200);
    let settings = LogSettings { partitions: PARTITIONS, replicas: 1, max_bytes: -1, epoch: 1 };
    assert!(ingest.nats(&["stream", "rm", "LAUNCHES", "--force"]).await);
    nothing_is_told_from_memory(&ingest, "lost", "LAUNCHES").await;
    Log::ensure(&ingest.client, &settings).await.unwrap();
    nothing_is_told_from_memory(&ingest, "lost", "made anew").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_answers_as_long_as_the_log_is_what_it_was() {
    let ingest = TestIngest::start().await;
    assert_eq!(ingest.post(&launch("known")).await.status, 201);
    let text = format!("{}\n{}\n", launch("known"), launch("known"));
    let repeats = (0..16).map(async |_| {
        let single = ingest.post(&launch("known")).await;
        let bulk = ingest.post_lines(text.clone()).await;
        (single.status, single.body["duplicate"].clone(), bulk.status, bulk.body["duplicates"].clone())
    });
    for repeated in futures_util::future::join_all(repeats).await {
        assert_eq!(repeated, (200, true.into(), 200, 2.into()));
    }
    assert_eq!(ingest.logged().await.len(), 1);
}
