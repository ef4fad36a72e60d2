//! A day by the short way, and the same day by the router.

use crate::world::{Entry, World};

const DAY: &str = "/v1/accounts/a/days/2026-01-01";
const ACME: &str = "Saldo-Tenant: acme\r\n";

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-1\r\nConnection: close\r\n{headers}\r\n")
}

/// By the short way if there is one, and by the router, for which an empty query string and a wait of nothing are enough.
async fn both(world: &World, path: &str, headers: &str) -> String {
    let short = world.exchange(&get(path, headers)).await;
    for (path, headers) in
        [(format!("{path}?"), headers.to_owned()), (path.to_owned(), format!("{headers}Saldo-Wait-Ms: 5\r\n"))]
    {
        assert_eq!(short, world.exchange(&get(&path, &headers)).await, "{path} {headers}");
    }
    short
}

#[tokio::test]
async fn both_ways_give_the_same_bytes() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    // From here on the query hears of nothing that would change an answer between two requests.
    let day = world.ask(DAY).at_least(&position, 10_000).send().await;
    let etag = format!("{ACME}If-None-Match: {}\r\n", day.header("etag"));
    let other = format!("{ACME}If-None-Match: \"other\"\r\n");
    let cases = [
        (DAY, ACME, "200"),
        (DAY, &etag, "304"),
        (DAY, &other, "200"),
        ("/v1/accounts/%61/days/2026-01-01", ACME, "200"),
        ("/v1/accounts/a/days/2026-01-02", ACME, "200"),
        ("/v1/accounts/a/days/2026-02-30", ACME, "400"),
        ("/v1/accounts/a/days/", ACME, "404"),
        ("/v1/accounts/a/days/2026-01-01/", ACME, "404"),
        ("/v1/accounts/a.b/days/2026-01-01", ACME, "400"),
        ("/v1/accounts/never/days/2026-01-01", ACME, "404"),
        (DAY, "", "400"),
        (DAY, "Saldo-Tenant: acme\r\nSaldo-Tenant: acme\r\n", "400"),
        (DAY, "Saldo-Tenant: other\r\n", "404"),
        (DAY, "Saldo-Tenant: acme\r\nSaldo-Min-Position: nonsense\r\n", "400"),
    ];
    for (path, headers, status) in cases {
        let answer = both(&world, path, headers).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {headers} {answer}");
    }
    for method in ["HEAD", "POST", "DELETE"] {
        let request = |path: &str| get(path, ACME).replacen("GET", method, 1);
        let (plain, by_router) =
            (world.exchange(&request(DAY)).await, world.exchange(&request(&format!("{DAY}?"))).await);
        assert_eq!(plain, by_router, "{method}");
    }
}

/// Answers from the cache and from the store: a notice that is heard in between makes one of the other.
async fn answered(world: &World) -> f64 {
    let counts =
        [world.metric("saldo_query_cached_answers_total").await, world.metric("saldo_query_fills_total").await];
    counts.iter().sum()
}

#[tokio::test]
async fn answers_of_both_ways_count_alike() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.ask(DAY).at_least(&position, 10_000).send().await;
    let before = answered(&world).await;
    both(&world, DAY, ACME).await;
    assert_eq!(answered(&world).await, before + 3.0);
    let text = world.get("/metrics").await.text;
    let line = "saldo_http_answers_total{route=\"/v1/accounts/{account}/days/{date}\",status=\"200\"} 4\n";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn a_day_is_read_anew_after_a_change() {
    let mut world = World::new().await;
    for number in 1..=5 {
        let position = world.post(&[Entry::credit("a", "2026-01-01", &number.to_string(), "1.00")]).await;
        world.ask(DAY).at_least(&position, 10_000).send().await;
        let day = both(&world, DAY, ACME).await;
        assert!(day.contains(&format!("\"closing\":\"{number}.00\"")) && day.contains(&position), "{day}");
    }
}

/// A page whose name was made to mean this machine reads nothing: neither by the short way nor by any other.
#[tokio::test]
async fn nothing_is_answered_for_another_host_or_for_none() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.ask(DAY).at_least(&position, 10_000).send().await;
    for path in [DAY, "/v1/accounts/a/balance", "/v1/accounts", "/nowhere", "/metrics"] {
        for (hosts, status, slug) in [
            ("Host: rebind.attacker.example:8081\r\n", "421", "misdirected"),
            ("", "400", "host_invalid"),
            ("Host: localhost\r\nHost: localhost\r\n", "400", "host_invalid"),
        ] {
            let answer = world.exchange(&get(path, ACME).replace("Host: localhost\r\n", hosts)).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {hosts:?}: {answer}");
            assert!(answer.contains(&format!("urn:saldo:problem:{slug}")) && !answer.contains("1.00"), "{answer}");
        }
    }
}
