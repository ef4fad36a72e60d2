//! Clients that stand still, send halves, or are many.

use std::time::Duration;

use service::HttpLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{DEADLINE, GET_HELLO, TestService};

fn impatient() -> HttpLimits {
    HttpLimits { head_timeout_ms: 200, idle_timeout_ms: 400, write_timeout_ms: 300, ..HttpLimits::default() }
}

#[tokio::test]
async fn a_half_sent_head_is_cut_even_when_bytes_keep_coming() {
    let service = TestService::start(HttpLimits { idle_timeout_ms: 3_600_000, ..impatient() }).await;
    let mut client = service.connect().await;
    client.send("GET /hello HTTP/1.1\r\nX-Slow: ").await;
    let trickle = async {
        loop {
            if client.stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, trickle).await.expect("the server cuts the connection");
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_a_waiting_request_is_not() {
    let service = TestService::start(impatient()).await;
    let (mut idle, mut waiting, mut unused) =
        (service.connect().await, service.connect().await, service.connect().await);
    waiting.send("GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    service.entered.notified().await;
    idle.send(GET_HELLO).await;
    idle.read_to("hello").await;
    assert_eq!(idle.read_to_close().await, "");
    assert_eq!(unused.read_to_close().await, "");
    service.gate.notify_one();
    assert!(waiting.read_to("opened").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_cut() {
    let service = TestService::start(impatient()).await;
    let mut client = service.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.read_to("200 OK").await;
    // Nothing is read until the server has had to give up: then less than everything is there.
    let mut probe = service.connect().await;
    assert_eq!(probe.read_to_close().await, "", "idle cut, later than the write cut");
    let mut rest = Vec::new();
    let _reset = timeout(DEADLINE, client.stream.read_to_end(&mut rest)).await.expect("the end comes");
    assert!(rest.len() < 64 << 20);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let service = TestService::start(HttpLimits { max_head_bytes: 8_192, ..HttpLimits::default() }).await;
    let mut client = service.connect().await;
    client.send(&format!("GET /hello HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000))).await;
    assert!(client.read_to("\r\n").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn idle_connections_below_the_bound_do_not_keep_others_out() {
    let mut fitting = HttpLimits::default();
    service::http::open_files::OpenFiles::raise(2).fit(&mut fitting);
    let many = if fitting.max_connections > 2_000 { 2_000 } else { 200 };
    let service = TestService::start(HttpLimits { max_connections: many + 1, ..HttpLimits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..many {
        idle.push(service.connect().await);
    }
    let mut client = service.connect().await;
    client.send(GET_HELLO).await;
    client.read_to("hello").await;
    let mut beyond = service.connect().await;
    beyond.send(GET_HELLO).await;
    drop(idle.pop());
    beyond.read_to("hello").await;
}

#[tokio::test]
async fn idle_connections_make_room_and_those_in_use_do_not() {
    let service = TestService::start(HttpLimits { max_connections: 8, ..HttpLimits::default() }).await;
    let mut waiting = service.connect().await;
    waiting.send("GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(DEADLINE, service.entered.notified()).await.expect("it is being answered");
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(service.connect().await);
    }
    let mut client = service.connect().await;
    client.send(GET_HELLO).await;
    client.read_to("hello").await;
    let left = timeout(Duration::from_millis(1), service.left.notified()).await;
    assert!(left.is_err(), "the request that was in work still is");
}

/// The answer comes while the client is still sending; it must not be lost to a reset.
#[tokio::test]
async fn a_client_that_is_still_sending_reads_its_refusal() {
    let service = TestService::start(HttpLimits::default()).await;
    let mut client = service.connect().await;
    client.send("POST /gate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n").await;
    let piece = "x".repeat(100_000);
    for _ in 0..40 {
        client.send(&piece).await;
    }
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 409") && answer.ends_with("not read"), "{answer}");
}

#[tokio::test]
async fn the_request_of_a_client_that_goes_away_is_given_up() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in ["/gate", "/short/gate"] {
        let mut client = service.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        timeout(DEADLINE, service.entered.notified()).await.expect("it is being answered");
        drop(client);
        timeout(DEADLINE, service.left.notified()).await.expect("nobody waits for it any more");
    }
}

/// Also when more than one of them is there: what is sent ahead says that the client is, and is answered in its turn.
#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let service = TestService::start(HttpLimits::default()).await;
    let mut client = service.connect().await;
    client.send("GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(DEADLINE, service.entered.notified()).await.expect("it is being answered");
    client
        .send("GET /short/now HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    service.gate.notify_one();
    let answers = client.read_to("hello").await;
    let order = ["opened", "now", "hello"].map(|text| answers.find(text).expect("all are answered"));
    assert!(order.is_sorted(), "{answers}");
}

/// `nc -N` and its like: what they sent before they ended their side is answered, the requests behind the first one, too.
#[tokio::test]
async fn a_client_that_ends_its_side_reads_its_answers() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in ["/gate", "/short/gate"] {
        let mut client = service.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n{GET_HELLO}")).await;
        client.stream.shutdown().await.unwrap();
        timeout(DEADLINE, service.entered.notified()).await.expect("it is being answered");
        // By now the server has looked for its client.
        let mut other = service.connect().await;
        other.send(GET_HELLO).await;
        other.read_to("hello").await;
        service.gate.notify_one();
        let answers = client.read_to_close().await;
        assert!(answers.contains("opened") && answers.ends_with("hello"), "{path} {answers}");
    }
}
