//! The stop: nothing that was taken is cut without an answer, and it ends within the deadline.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use service::HttpLimits;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::support::{DEADLINE, GET_HELLO, RawClient, TestService};

#[tokio::test]
async fn a_request_in_flight_is_answered_and_idle_ones_are_closed() {
    let service = TestService::start(HttpLimits { drain_ms: 60_000, ..HttpLimits::default() }).await;
    let (mut busy, mut idle, mut unused) = (service.connect().await, service.connect().await, service.connect().await);
    idle.send(GET_HELLO).await;
    idle.read_to("hello").await;
    busy.send("GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    service.entered.notified().await;
    service.stop.begin(DEADLINE);
    assert_eq!(idle.read_to_close().await, "");
    assert_eq!(unused.read_to_close().await, "");
    assert!(tokio::net::TcpStream::connect(service.address).await.is_err(), "nobody new is taken");
    service.gate.notify_one();
    let answer = busy.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("opened"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    service.ended().await;
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let service = TestService::start(HttpLimits { drain_ms: 100, ..HttpLimits::default() }).await;
    let mut stuck = service.connect().await;
    stuck.send("GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    service.entered.notified().await;
    service.stop.begin(DEADLINE);
    assert_eq!(stuck.read_to_close().await, "");
    service.ended().await;
}

/// One thread, and nothing awaited between the request and the stop: the runtime has not looked at the listener since.
#[tokio::test]
async fn a_request_that_the_runtime_has_not_seen_yet_is_answered() {
    let service = TestService::start(HttpLimits::default()).await;
    let mut early = service.connect().await;
    early.send(GET_HELLO).await;
    early.read_to("hello").await;
    let mut late = std::net::TcpStream::connect(service.address).unwrap();
    std::io::Write::write_all(&mut late, GET_HELLO.as_bytes()).unwrap();
    service.stop.begin(DEADLINE);
    late.set_nonblocking(true).unwrap();
    let mut late = RawClient { stream: tokio::net::TcpStream::from_std(late).unwrap() };
    assert!(late.read_to_close().await.ends_with("hello"));
    service.ended().await;
}

/// Clients that send one request after the other must see every one of them answered, until a connection attempt is
/// refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_is_cut_without_an_answer() {
    stopped_under_load(GET_HELLO).await;
}

/// As above, with a connection for each request: what comes between the last accept and the end of the listener would be
/// reset. Several stops, for the moment is short.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_reset_in_the_last_moment_of_the_listener() {
    for _ in 0..5 {
        stopped_under_load("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    }
}

async fn stopped_under_load(request: &'static str) {
    let service = TestService::start(HttpLimits::default()).await;
    let address = service.address;
    let answered = Arc::new(AtomicUsize::new(0));
    let until_refused = || tokio::spawn(request_until_refused(address, request, answered.clone()));
    let clients: Vec<_> = (0..32).map(|_| until_refused()).collect();
    let is_loaded = || async { (answered.load(Relaxed) > 1_000).then_some(()) };
    testkit::wait_until_async("a thousand answers", DEADLINE, is_loaded).await.unwrap();
    service.stop.begin(DEADLINE);
    for client in clients {
        timeout(DEADLINE, client).await.expect("clients end").unwrap();
    }
    service.ended().await;
}

async fn request_until_refused(address: std::net::SocketAddr, request: &str, answered: Arc<AtomicUsize>) {
    while let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
        loop {
            let sent = tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await;
            let mut read = Vec::new();
            while sent.is_ok() && !read.ends_with(b"hello") {
                let count = stream.read_buf(&mut read).await.unwrap_or(0);
                assert_ne!(count, 0, "cut without an answer after {answered:?}");
            }
            assert!(sent.is_ok());
            answered.fetch_add(1, Relaxed);
            if String::from_utf8_lossy(&read).contains("connection: close") {
                break;
            }
        }
    }
}
