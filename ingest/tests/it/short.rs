//! One launch a request by the short way, and the same by the router.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{DEADLINE, TestIngest, launch};

const PLAIN: &str = "application/json";
/// The same to the handler, and nothing for the short way.
const OTHERWISE: &str = "application/json;charset=utf-8";

/// The whole answer but for its date, the lines of its head in order of their names.
async fn post(ingest: &TestIngest, media_type: &str, headers: &str, body: &str) -> String {
    let head = format!(
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-1\r\nConnection: close\r\n{headers}Content-Type: \
         {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(ingest.address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
    lines[1..].sort_unstable();
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// By both ways; the answer of both.
async fn both(ingest: &TestIngest, headers: &str, body: &str) -> String {
    let short = post(ingest, PLAIN, headers, body).await;
    assert_eq!(short, post(ingest, OTHERWISE, headers, body).await, "{headers} {body}");
    short
}

#[tokio::test]
async fn both_ways_give_the_same_bytes() {
    let ingest = TestIngest::start().await;
    let tenant = "Saldo-Tenant: acme\r\n";
    let good = launch("a").to_string();
    let mut conflict = launch("a");
    conflict["amount"] = json!("1.00");
    let accepted = post(&ingest, PLAIN, tenant, &good).await;
    assert!(accepted.starts_with("HTTP/1.1 201 ") && accepted.contains("\"duplicate\":false"), "{accepted}");
    let keyed = format!("{tenant}Idempotency-Key: other\r\n");
    let long = format!("{good}{}", " ".repeat(20_000));
    let cases = [
        (tenant, good.as_str(), "200"),
        (tenant, long.as_str(), "200"),
        (tenant, &format!("\u{feff} {good} "), "200"),
        (tenant, &conflict.to_string(), "409"),
        (tenant, &launch("a b").to_string(), "422"),
        (tenant, "{", "400"),
        (tenant, "", "400"),
        (tenant, "[]", "200"),
        (tenant, &format!("[{good}]"), "200"),
        (keyed.as_str(), &good, "400"),
        ("", &good, "400"),
    ];
    for (headers, body, status) in cases {
        let answer = both(&ingest, headers, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body} {answer}");
    }
    assert_eq!(ingest.logged().await.len(), 1);
}

#[tokio::test]
async fn what_one_way_accepts_the_other_accepts_and_answers_alike() {
    let ingest = TestIngest::start().await;
    for (media_type, id) in [(PLAIN, "a-1"), (OTHERWISE, "a-2")] {
        let answer = post(&ingest, media_type, "Saldo-Tenant: acme\r\n", &launch(id).to_string()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: {}\r\ncontent-type: \
                 application/json\r\nx-request-id: r-1",
                body.len()
            )
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let position = &body["position"];
        let expected =
            json!({"id": id, "account": "store-17", "date": "2026-11-22", "position": position, "duplicate": false});
        assert_eq!(body, expected);
    }
    let logged = ingest.logged().await;
    assert_eq!(logged.len(), 2);
    let text = ingest.http.get(ingest.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = "saldo_http_answers_total{route=\"/v1/launches\",status=\"201\"} 2\n";
    assert!(text.contains(line), "{text}");
}
