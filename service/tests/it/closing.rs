//! Every answer after which the server closes says so; after others the connection is used again.

use service::HttpLimits;

use crate::support::{GET_HELLO, TestService};

/// The answer to a request after which the server closes by itself.
async fn last_answer(service: &TestService, request: &str) -> String {
    let mut client = service.connect().await;
    client.send(request).await;
    client.read_to_close().await
}

#[tokio::test]
async fn a_refusal_that_leaves_the_body_unread_says_that_it_is_the_last() {
    let service = TestService::start(HttpLimits::default()).await;
    let expecting = "Content-Length: 36\r\nExpect: 100-continue\r\n";
    let half_sent = "Content-Length: 36\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for path in ["/gate", "/nowhere", "/problem", "/health/live", "/short/now"] {
        for head in [expecting, half_sent, chunked] {
            let answer = last_answer(&service, &format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n")).await;
            assert!(answer.contains("\r\nconnection: close\r\n"), "{path} {head:?}: {answer}");
            assert!(!answer.contains("100 Continue"), "{path} {head:?}: {answer}");
        }
    }
    let misdirected = "POST /hello HTTP/1.1\r\nHost: attacker.example\r\nContent-Length: 36\r\n\r\n";
    let answer = last_answer(&service, misdirected).await;
    assert!(answer.starts_with("HTTP/1.1 421") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

/// A body that nobody wants on the short way, too.
#[tokio::test]
async fn an_answer_beside_an_unread_body_is_the_last() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in ["/hello", "/short/now", "/short/refused", "/short/empty"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
        for body in ["", "12345"] {
            let answer = last_answer(&service, &format!("{head}{body}")).await;
            assert!(answer.contains("\r\nconnection: close\r\n"), "{path} {body:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_the_last_answer() {
    let service = TestService::start(HttpLimits { max_head_bytes: 8_192, ..HttpLimits::default() }).await;
    let long = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    let malformed = [
        ("431", long.as_str()),
        ("431", many.as_str()),
        ("400", "GET /hello\r\n\r\n"),
        ("400", "GET /hello HTTP/1.1\r\nHost localhost\r\n\r\n"),
        ("400", "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        ("400", "POST /hello HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ];
    for (status, request) in malformed {
        let answer = last_answer(&service, request).await;
        let what = request.chars().take(80).collect::<String>();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_whose_requests_were_read_is_used_again() {
    let service = TestService::start(HttpLimits::default()).await;
    let mut client = service.connect().await;
    let expecting = "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    client.send(expecting).await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    client.send("body").await;
    let mut answers = client.read_to("body").await;
    for request in [
        "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nsaid",
        "POST /hello HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsaid\r\n0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: attacker.example\r\n\r\n",
    ] {
        client.send(&format!("{request}{GET_HELLO}")).await;
        answers.push_str(&client.read_to("\r\n\r\nhello").await);
    }
    assert!(!answers.contains("connection: close"), "{answers}");
}
