//! The short way beside the router: what every answer has, it has on both.

use std::future::Future;

use axum::http::{Method, Request, Response, Uri};
use service::{
    HttpLimits, Problem,
    http::{Answered, ShortWay, Taken, body::RequestBody},
    problem::kinds,
};

use crate::support::{Gates, TestService, wait_at};

/// Takes `GET /short/…`, except where the path says `router`.
pub struct ShortOnes(pub Gates);

impl ShortWay for ShortOnes {
    const ROUTE: &'static str = "/short/{what}";

    fn recognises(&self, method: &Method, uri: &Uri) -> bool {
        *method == Method::GET && uri.path().starts_with("/short/")
    }

    fn take(&self, request: Request<RequestBody>) -> Taken<impl Future<Output = Answered> + Send> {
        match request.uri().path() {
            "/short/now" => Taken::Answered(text("now")),
            "/short/empty" => Taken::Answered(text("")),
            "/short/refused" => Taken::Answered(refusal()),
            "/short/panic" => panic!("as the test asked"),
            "/short/router" => Taken::Refused(request),
            _ => Taken::Waiting(self.later(request)),
        }
    }
}

impl ShortOnes {
    async fn later(&self, request: Request<RequestBody>) -> Answered {
        match request.uri().path() {
            "/short/gate" => text(wait_at(&self.0).await),
            "/short/late-panic" => panic!("as the test asked"),
            _ => refusal(),
        }
    }
}

/// What the router answers for the same route.
pub async fn by_router(uri: Uri) -> Answered {
    match uri.path() {
        "/short/now" => text("now"),
        "/short/empty" => text(""),
        "/short/panic" | "/short/late-panic" => panic!("as the test asked"),
        "/short/router" => text("the router's"),
        _ => refusal(),
    }
}

fn text(text: &'static str) -> Answered {
    Ok(Response::new(text.into()))
}

fn refusal() -> Answered {
    Err(Problem::new(kinds::LOG_FULL, "no room").retry_after(7).with("position", "1.0.7"))
}

/// The whole answer but for its date, the lines of its head in order of their names. `POST` goes by the router.
async fn answer(service: &TestService, method: &str, path: &str) -> String {
    let mut client = service.connect().await;
    let head = "Host: localhost\r\nX-Request-Id: r-1\r\nConnection: close";
    client.send(&format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n")).await;
    let answer = client.read_to_close().await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
    lines[1..].sort_unstable();
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

#[tokio::test]
async fn both_ways_give_the_same_bytes() {
    let service = TestService::start(HttpLimits::default()).await;
    let statuses =
        [("now", 200), ("empty", 200), ("refused", 503), ("late-refused", 503), ("panic", 500), ("late-panic", 500)];
    for (what, status) in statuses {
        let path = format!("/short/{what}");
        let short = answer(&service, "GET", &path).await;
        assert_eq!(short, answer(&service, "POST", &path).await);
        assert!(short.starts_with(&format!("HTTP/1.1 {status} ")), "{short}");
        assert!(short.contains("x-request-id: r-1\r\n"), "{short}");
    }
    assert!(answer(&service, "GET", "/short/refused").await.contains("\"request_id\":\"r-1\""));
}

#[tokio::test]
async fn what_the_short_way_gives_back_the_router_answers() {
    let service = TestService::start(HttpLimits::default()).await;
    assert!(answer(&service, "GET", "/short/router").await.ends_with("the router's"));
    assert!(answer(&service, "GET", "/short/too/long").await.starts_with("HTTP/1.1 503"), "the short way takes it");
}

#[tokio::test]
async fn answers_of_both_ways_count_under_one_route() {
    let service = TestService::start(HttpLimits::default()).await;
    for path in ["/short/now", "/short/router", "/short/panic"] {
        answer(&service, "GET", path).await;
    }
    answer(&service, "POST", "/short/now").await;
    let metrics = answer(&service, "GET", "/metrics").await;
    for (status, count) in [(200, 3), (500, 1)] {
        let line = format!("saldo_http_answers_total{{route=\"/short/{{what}}\",status=\"{status}\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(metrics.contains("saldo_http_answer_seconds_count{route=\"/short/{what}\"} 4"), "{metrics}");
}

#[tokio::test]
async fn a_stop_drains_the_short_way_too() {
    let service = TestService::start(HttpLimits { drain_ms: 60_000, ..HttpLimits::default() }).await;
    let mut busy = service.connect().await;
    busy.send("GET /short/gate HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    service.entered.notified().await;
    service.stop.begin(crate::support::DEADLINE);
    service.gate.notify_one();
    let answer = busy.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("opened"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    service.ended().await;
}
