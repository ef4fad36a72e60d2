//! The log becomes another one, or less than it was, while ingest runs.

use crate::support::{TestIngest, launch};

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
