//! Many clients at once with the same launches.

use std::collections::HashMap;

use crate::support::{TestIngest, launch, lines};

const CLIENTS: usize = 8;
const LAUNCHES: usize = 8_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_lines_from_eight_clients_in_other_orders_are_on_the_log_once() {
    let ingest = TestIngest::start().await;
    let posts = (0..CLIENTS).map(|client| {
        // A stride that is prime to the count visits every launch once, in an order of its own.
        let stride = [1, 7, 11, 13, 17, 19, 23, 7_999][client];
        let order = (0..LAUNCHES).map(move |index| (index * stride + client * 1_000) % LAUNCHES);
        ingest.post_lines(lines(order).join("\n"))
    });
    let answers = futures_util::future::join_all(posts).await;
    let (mut accepted, mut duplicates) = (0, 0);
    for answer in &answers {
        assert_eq!((answer.status, &answer.body["rejected"]), (200, &0.into()), "{answer:?}");
        accepted += answer.body["accepted"].as_u64().unwrap();
        duplicates += answer.body["duplicates"].as_u64().unwrap();
    }
    assert_eq!((accepted, duplicates), (LAUNCHES as u64, ((CLIENTS - 1) * LAUNCHES) as u64));
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for (_, launch) in ingest.logged().await {
        *by_id.entry(launch.id.to_string()).or_default() += 1;
    }
    assert_eq!(by_id.len(), LAUNCHES);
    assert!(by_id.values().all(|count| *count == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_launch_from_many_is_accepted_once() {
    let ingest = TestIngest::start().await;
    for round in 0..20 {
        let body = launch(&format!("r-{round}"));
        let answers = futures_util::future::join_all((0..16).map(|_| ingest.post(&body))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(201), count(200)), (1, 15));
        assert!(answers.iter().all(|answer| answer.body["position"] == answers[0].body["position"]));
    }
    assert_eq!(ingest.logged().await.len(), 20);
}
