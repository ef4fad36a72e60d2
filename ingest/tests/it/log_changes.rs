//! The log becomes another one, or less than it was, while ingest runs.

use testkit::{copy_folder, wait_until_async};

use crate::support::{DEADLINE, TestIngest, launch};

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
    ingest.until_not_ready("the log lost its end").await;
    for id in ["lost", "kept", "new"] {
        let refused = ingest.post(&launch(id)).await;
        assert_eq!((refused.status, refused.slug()), (503, "log_unavailable"), "{id}");
    }
    assert_eq!(ingest.metric("saldo_ingest_recent_entries").await, Some(0.0));

    ingest.log = nats::Log::open(&ingest.client, 1).await.unwrap();
    ingest.restart().await;
    assert_eq!(ingest.post(&launch("lost")).await.status, 201);
    assert_eq!(ingest.post(&launch("kept")).await.status, 200);
    assert_eq!(ingest.logged().await.len(), 2);
}
