//! Clients that are slow, break off, or are too many.

use std::time::Duration;

use ingest::IngestConfig;
use testkit::wait_until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{DEADLINE, Setup, TestIngest, launch};

const HEAD: &str = "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: acme\r\n";

async fn open(ingest: &TestIngest, media_type: &str, length: usize, part: &str) -> TcpStream {
    let mut stream = TcpStream::connect(ingest.address).await.unwrap();
    let head = format!("{HEAD}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{part}");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _reset = timeout(DEADLINE, stream.read_to_end(&mut text)).await.expect("the server answers");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_what_was_booked() {
    let mut config = IngestConfig::default();
    config.bodies.patience_ms = 300;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let part = format!("{}\n{}\n{{\"id\":\"ha", launch("a"), launch("b"));
    let mut slow = open(&ingest, "application/x-ndjson", 100_000, &part).await;
    let answer = read_all(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(answer.contains("\"accepted\":2") && answer.contains("\"first_uncertain_line\":3"), "{answer}");
    let mut single = open(&ingest, "application/json", 500, "{\"id\":").await;
    assert!(read_all(&mut single).await.starts_with("HTTP/1.1 408"));
    assert_eq!(ingest.logged().await.len(), 2);
}

#[tokio::test]
async fn the_claims_of_a_broken_bulk_end() {
    let mut config = IngestConfig::default();
    config.bodies.flush_ms = 3_600_000;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let client = open(&ingest, "application/x-ndjson", 100_000, &format!("{}\n", launch("a"))).await;
    let mut other = launch("a");
    other["kind"] = "debit".into();
    let claimed = async || (ingest.post(&other).await.slug() == "id_pending").then_some(());
    let claim = wait_until_async("the claim", Duration::from_secs(5), claimed).await;
    drop(client);
    // The broken bulk's line was booked or not (then it was never claimed, or the claim was given up); in no case does
    // its claim stay.
    let decided = async || {
        let answer = ingest.post(&other).await;
        matches!(answer.status, 200 | 201 | 409).then_some(())
    };
    wait_until_async("the end of the claim", DEADLINE, decided).await.unwrap();
    assert_eq!(ingest.logged().await.len(), 1, "claimed before: {}", claim.is_ok());
}

#[tokio::test]
async fn a_slow_bulk_does_not_hold_back_others_with_the_same_ids() {
    let ingest = TestIngest::start().await;
    let _slow = open(&ingest, "application/x-ndjson", 100_000, &format!("{}\n", launch("a"))).await;
    let answer = timeout(Duration::from_secs(10), ingest.post(&launch("a"))).await.expect("an answer in spite of it");
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    assert_eq!(ingest.logged().await.len(), 1);
}

#[tokio::test]
async fn a_bulk_that_keeps_trickling_does_not_hold_back_its_batch() {
    let mut config = IngestConfig::default();
    config.bodies.flush_ms = 500;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let mut slow = open(&ingest, "application/x-ndjson", 10_000_000, &format!("{}\n", launch("a"))).await;
    let trickle = async {
        // Blank lines, each long before the batch is due.
        loop {
            slow.write_all(&[b'\n'; 64]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let logged = async || (ingest.log.usage().await.ok()?.messages > 0).then_some(());
    tokio::select! {
        () = trickle => unreachable!(),
        logged = wait_until_async("the batch on the log", DEADLINE, logged) => logged.unwrap(),
    }
    assert_eq!(ingest.post(&launch("a")).await.status, 200, "while the bulk goes on");
}

#[tokio::test]
async fn more_bulks_than_allowed_are_sent_away_and_singles_are_not() {
    let mut config = IngestConfig::default();
    config.bodies.max_bulks = 2;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let held = [
        open(&ingest, "application/x-ndjson", 100_000, &format!("{}\n", launch("a"))).await,
        open(&ingest, "application/x-ndjson", 100_000, &format!("{}\n", launch("b"))).await,
    ];
    let logged = async || (ingest.log.usage().await.ok()?.messages > 0).then_some(());
    wait_until_async("the first bulks", DEADLINE, logged).await.unwrap();
    let sent_away = async || {
        let answer = ingest.post_lines(launch("c").to_string()).await;
        (answer.status == 429).then_some(answer)
    };
    let refused = wait_until_async("a refusal", DEADLINE, sent_away).await.unwrap();
    assert_eq!((refused.slug(), refused.retry_after), ("too_many_requests", Some(1)));
    assert_eq!(ingest.post(&launch("d")).await.status, 201);
    drop(held);
    let accepted = async || (ingest.post_lines(launch("e").to_string()).await.status == 200).then_some(());
    wait_until_async("a free place", DEADLINE, accepted).await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_gone_before_the_answer_has_booked_or_not_but_claims_nothing() {
    let ingest = TestIngest::start().await;
    let body = launch("gone").to_string();
    for _ in 0..20 {
        drop(open(&ingest, "application/json", body.len(), &body).await);
    }
    let answer = ingest.post(&launch("gone")).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    assert_eq!(ingest.logged().await.len(), 1);
}

async fn exchange(ingest: &TestIngest, request: &str) -> String {
    let mut stream = TcpStream::connect(ingest.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

/// The server closes after each of them, whose body has not come as a whole.
#[tokio::test]
async fn a_refusal_whose_body_was_not_read_says_that_the_connection_ends() {
    let mut config = IngestConfig::default();
    config.bodies.patience_ms = 300;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let without_tenant = HEAD.replace("Saldo-Tenant: acme\r\n", "");
    let of = |head: &str, more: &str| format!("{head}{more}\r\n");
    let json = "Content-Type: application/json\r\n";
    for (status, request) in [
        (415, of(HEAD, "Content-Type: text/csv\r\nContent-Length: 36\r\nExpect: 100-continue\r\n")),
        (415, of(HEAD, "Content-Type: text/csv\r\nContent-Length: 36\r\n")),
        (400, of(&without_tenant, &format!("{json}Content-Length: 36\r\nExpect: 100-continue\r\n"))),
        (400, of(&without_tenant, &format!("{json}Content-Length: 36\r\n"))),
        (413, of(HEAD, &format!("{json}Content-Length: 9000000\r\n"))),
        (413, of(HEAD, &format!("{json}Content-Length: 9000000\r\nExpect: 100-continue\r\n"))),
        (413, of(HEAD, &format!("{json}Transfer-Encoding: chunked\r\n\r\n900000\r\n{}", " ".repeat(9 << 20)))),
        (408, of(HEAD, &format!("{json}Content-Length: 36\r\n\r\n{{"))),
        (408, of(HEAD, "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{")),
    ] {
        let answer = exchange(&ingest, &request).await;
        let shown: String = request.chars().take(160).collect();
        let last = answer.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(last.starts_with(&status.to_string()), "{shown}: {answer}");
        assert!(last.contains("\r\nconnection: close\r\n"), "{shown}: {answer}");
    }
    assert_eq!(ingest.post(&launch("after")).await.status, 201);
}

/// A short body that is refused was read all the same, and the connection is used again.
#[tokio::test]
async fn a_refusal_whose_body_was_read_leaves_the_connection_open() {
    let ingest = TestIngest::start().await;
    let body = launch("again").to_string();
    let refused = format!("{HEAD}Content-Type: text/csv\r\nContent-Length: 3\r\n\r\na,b");
    let accepted = format!(
        "{HEAD}Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answers = exchange(&ingest, &format!("{refused}{accepted}")).await;
    let (first, second) = answers.split_once("HTTP/1.1 201").expect(&answers);
    assert!(first.starts_with("HTTP/1.1 415") && !first.contains("connection: close"), "{answers}");
    assert!(second.contains("connection: close"), "{answers}");
}

/// A page whose name was made to mean this machine writes nothing, on the short way and beside it.
#[tokio::test]
async fn a_launch_for_another_host_is_not_booked() {
    let ingest = TestIngest::start().await;
    let body = launch("evil-1").to_string();
    let foreign = "Host: rebind.attacker.example:8080\r\nOrigin: http://rebind.attacker.example:8080\r\n";
    for (status, slug, hosts) in [
        ("421", "misdirected", foreign),
        ("400", "host_invalid", ""),
        ("400", "host_invalid", "Host: localhost\r\nHost: rebind.attacker.example\r\n"),
    ] {
        for media_type in ["application/json", "application/json; charset=utf-8", "application/x-ndjson"] {
            let head = HEAD.replace("Host: localhost\r\n", hosts);
            let request = format!(
                "{head}Content-Type: {media_type}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = exchange(&ingest, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{media_type} {hosts:?}: {answer}");
            assert!(answer.contains(&format!("urn:saldo:problem:{slug}")), "{media_type} {hosts:?}: {answer}");
        }
    }
    assert_eq!(ingest.logged().await.len(), 0);
}
