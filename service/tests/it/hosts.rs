//! For which hosts a request is answered: on every way through the server alike.

use service::{HttpLimits, Variables};

use crate::support::TestService;

/// A route of the router, those of the short way, a path that is none, and what every service has.
const WAYS: [&str; 6] = ["/hello", "/short/now", "/short/router", "/nowhere", "/health/live", "/metrics"];

async fn ask(service: &TestService, line: &str, headers: &str) -> String {
    let mut client = service.connect().await;
    client.send(&format!("{line}\r\n{headers}Connection: close\r\n\r\n")).await;
    client.read_to_close().await
}

async fn status(service: &TestService, line: &str, headers: &str) -> u16 {
    let answer = ask(service, line, headers).await;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[tokio::test]
async fn a_missing_or_doubled_or_invalid_host_is_a_bad_request_on_every_way() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in WAYS {
        let line = format!("GET {path} HTTP/1.1");
        for headers in
            ["", "Host: localhost\r\nHost: localhost\r\n", "Host:\r\n", "Host: a b\r\n", "Host: x@localhost\r\n"]
        {
            let answer = ask(&service, &line, headers).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{path} {headers:?}: {answer}");
            assert!(answer.contains("urn:saldo:problem:host_invalid"), "{path} {headers:?}: {answer}");
            assert!(answer.contains("x-request-id: "), "{path} {headers:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn on_a_loopback_address_only_this_machine_s_own_names_are_answered_for_on_every_way() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in WAYS {
        let line = format!("GET {path} HTTP/1.1");
        let rebound = ask(&service, &line, "Host: rebind.attacker.example:8080\r\n").await;
        assert!(rebound.starts_with("HTTP/1.1 421"), "{path}: {rebound}");
        assert!(rebound.contains("urn:saldo:problem:misdirected"), "{path}: {rebound}");
        for own in
            ["localhost", "localhost:1", "LOCALHOST.", "shop.localhost:80", "127.0.0.1:8080", "127.1.2.3", "[::1]:9"]
        {
            let answered = status(&service, &line, &format!("Host: {own}\r\n")).await;
            assert!(answered == 200 || (path == "/nowhere" && answered == 404), "{path} {own}: {answered}");
        }
        let absolute = format!("GET http://rebind.attacker.example{path} HTTP/1.1");
        assert_eq!(status(&service, &absolute, "Host: localhost\r\n").await, 421, "{path}");
        let absolute = format!("GET http://localhost{path} HTTP/1.1");
        assert_ne!(status(&service, &absolute, "Host: rebind.attacker.example\r\n").await, 421, "{path}");
    }
    let posted = status(&service, "POST /hello HTTP/1.1", "Host: attacker.example\r\nContent-Length: 0\r\n").await;
    assert_eq!(posted, 421);
}

#[tokio::test]
async fn http_1_0_needs_no_host_but_a_given_one_counts() {
    let service = TestService::start(HttpLimits::default()).await;
    assert_eq!(status(&service, "GET /hello HTTP/1.0", "").await, 200);
    assert_eq!(status(&service, "GET /hello HTTP/1.0", "Host: attacker.example\r\n").await, 421);
    assert_eq!(status(&service, "GET /hello HTTP/1.0", "Host: a b\r\n").await, 400);
    assert_eq!(status(&service, "GET http://attacker.example/hello HTTP/1.0", "").await, 421);
}

#[tokio::test]
async fn more_hosts_are_answered_for_by_configuration() {
    let variables = Variables::of_pairs([("SALDO_HTTP_ALLOWED_HOSTS", "saldo.example, 10.0.0.7")]);
    let service = TestService::start(HttpLimits::from_variables(&variables).unwrap()).await;
    for (host, expected) in
        [("saldo.example:443", 200), ("10.0.0.7", 200), ("localhost", 200), ("x.saldo.example", 421), ("10.0.0.8", 421)]
    {
        assert_eq!(status(&service, "GET /hello HTTP/1.1", &format!("Host: {host}\r\n")).await, expected, "{host}");
    }
}

/// Nothing is known of the names by which a network calls a service.
#[tokio::test]
async fn on_another_address_every_host_is_answered_for_that_is_one() {
    let service = TestService::start_on("0.0.0.0:0", HttpLimits::default()).await;
    assert_eq!(status(&service, "GET /hello HTTP/1.1", "Host: ingest:8080\r\n").await, 200);
    assert_eq!(status(&service, "GET /hello HTTP/1.1", "").await, 400);
}
