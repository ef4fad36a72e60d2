//! Requests that cannot be read.

use reqwest::Method;

use crate::world::{Entry, World};

#[tokio::test]
async fn malformed_requests_are_told_what_is_wrong() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    assert_eq!(world.ask("/v1/accounts/a/balance").at_least(&position, 10_000).send().await.status, 200);
    let long = "x".repeat(65);
    let too_long = format!("/v1/accounts/{long}/balance");
    let cases = [
        ("/v1/accounts/a/days/2026-02-30", "invalid_date"),
        ("/v1/accounts/a/days/today", "invalid_date"),
        ("/v1/accounts/a/days/1899-12-31", "invalid_date"),
        ("/v1/accounts/a/days/2200-01-01", "invalid_date"),
        ("/v1/accounts/a.b/days/2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a%20b/balance", "parameter_invalid"),
        ("/v1/accounts/%ff/balance", "parameter_invalid"),
        (too_long.as_str(), "parameter_invalid"),
        ("/v1/accounts/a/days/2026-01-01?x=1", "parameter_invalid"),
        ("/v1/accounts/a/balance?date=2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a/days", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-02&to=2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2027-01-02", "parameter_invalid"),
        ("/v1/accounts/a/days?from=x&to=2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2026-01-01&include_empty=1", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2026-01-01&limit=0", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2026-01-01&limit=1001", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&from=2026-01-01&to=2026-01-01", "parameter_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2026-01-01&cursor=", "cursor_invalid"),
        ("/v1/accounts/a/days?from=2026-01-01&to=2026-01-01&cursor=00ff", "cursor_invalid"),
        ("/v1/accounts/a/launches", "parameter_invalid"),
        ("/v1/accounts/a/launches?date=", "parameter_invalid"),
        ("/v1/accounts/a/launches?date=2026-01-01&cursor=zz", "cursor_invalid"),
        ("/v1/accounts?limit=ten", "parameter_invalid"),
        ("/v1/accounts?tenant=other", "parameter_invalid"),
        ("/v1/accounts?cursor=%00", "cursor_invalid"),
    ];
    for (path, slug) in cases {
        assert_eq!(world.get(path).await.refusal(), (400, slug.to_owned()), "{path}");
    }
    assert_eq!(world.get("/v1/accounts/a/days?from=2026-01-01&to=2027-01-01").await.status, 200, "366 days");
    assert_eq!(
        world.get("/v1/accounts/%61/days/2026%2D01%2D01").await.status,
        200,
        "another spelling of the same path"
    );
}

#[tokio::test]
async fn headers_are_read_strictly() {
    let world = World::new().await;
    let ask = || world.ask("/v1/accounts/a/balance");
    for (name, value, slug) in [
        ("saldo-min-position", "yesterday", "position_invalid"),
        ("saldo-min-position", "", "position_invalid"),
        ("saldo-min-position", "1.0a1b2c3d.0.18446744073709551616", "position_invalid"),
        ("saldo-wait-ms", "10001", "parameter_invalid"),
        ("saldo-wait-ms", "-1", "parameter_invalid"),
        ("saldo-wait-ms", "a while", "parameter_invalid"),
    ] {
        assert_eq!(ask().header(name, value).send().await.refusal(), (400, slug.to_owned()), "{name}: {value}");
    }
    let twice = ask().header("saldo-min-position", "1.0.0").header("saldo-min-position", "1.0.0").send().await;
    assert_eq!(twice.refusal(), (400, "parameter_invalid".to_owned()));
    let binary = ask().header("saldo-min-position", b"\xff\xfe").send().await;
    assert_eq!(binary.refusal(), (400, "parameter_invalid".to_owned()));
}

#[tokio::test]
async fn a_tenant_must_be_named() {
    let world = World::new().await;
    assert_eq!(world.ask_as_nobody("/v1/accounts").send().await.refusal(), (400, "tenant_missing".to_owned()));
    let invalid = world.ask("/v1/accounts").tenant("a.b").send().await;
    assert_eq!(invalid.refusal(), (400, "tenant_invalid".to_owned()));
}

#[tokio::test]
async fn other_paths_and_methods_are_problems_too() {
    let world = World::new().await;
    for path in
        ["/", "/v1", "/v1/accounts/a", "/v1/accounts/a/days/2026-01-01/x", "/v2/accounts", "/v1/accounts//balance"]
    {
        let answer = world.get(path).await;
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:?}");
        assert!(!answer.problem().is_empty());
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = world.ask("/v1/accounts").method(method).send().await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed".to_owned()));
    }
    assert_eq!(world.ask("/v1/accounts").method(Method::HEAD).send().await.status, 200);
}
