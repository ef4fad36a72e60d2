//! The stop under load: what was acknowledged is on the log, and nobody is cut without an answer.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use testkit::wait_until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{DEADLINE, TestIngest, launch, lines};

/// Posts one launch after the other until nobody listens any more; the ids that were acknowledged.
async fn post_until_refused(address: SocketAddr, client: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let Ok(mut stream) = TcpStream::connect(address).await else { break };
        let id = format!("c{client}-{number}");
        let body = launch(&id).to_string();
        let request = format!(
            "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: acme\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "cut without an answer: {answer:?}");
        if answer.starts_with("HTTP/1.1 201") {
            acknowledged.push(id);
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_launch_is_on_the_log_and_every_request_is_answered() {
    let mut ingest = TestIngest::start().await;
    let address = ingest.address;
    let clients: Vec<_> = (0..16).map(|client| tokio::spawn(post_until_refused(address, client))).collect();
    let chunks = futures_util::stream::unfold(0_usize, async |number| {
        // The client's own pace, so that the singles beside it get through.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let text = lines(number * 100..number * 100 + 100).join("\n") + "\n";
        Some((Ok::<_, std::io::Error>(text), number + 1))
    });
    let endless = ingest.request("application/x-ndjson").body(reqwest::Body::wrap_stream(chunks));
    let endless = tokio::spawn(crate::support::answer(endless));
    let loaded = async || (ingest.log.usage().await.ok()?.messages > 50).then_some(());
    wait_until_async("load", DEADLINE, loaded).await.unwrap();

    ingest.shutdown.begin(DEADLINE);
    let mut acknowledged = BTreeSet::new();
    for client in clients {
        acknowledged.extend(timeout(DEADLINE, client).await.expect("clients end").unwrap());
    }
    let bulk = endless.await.unwrap();
    assert_eq!((bulk.status, bulk.slug()), (503, "shutting_down"), "{bulk:?}");
    let certain = bulk.body["first_uncertain_line"].as_u64().unwrap() - 1;
    assert_eq!(bulk.body["accepted"].as_u64().unwrap(), certain, "a bulk in order loses nothing in between");
    ingest.restart().await;
    let logged: BTreeSet<_> = ingest.logged().await.into_iter().map(|(_, launch)| launch.id.to_string()).collect();
    assert!(!acknowledged.is_empty() && acknowledged.is_subset(&logged));
    assert!((0..certain).all(|number| logged.contains(&format!("l-{number}"))));
}
