//! ETags and 304.

use crate::world::{Entry, World};

const DAY: &str = "/v1/accounts/a/days/2026-01-01";

#[tokio::test]
async fn whoever_has_the_answer_gets_304_with_its_present_age() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    let paths = [
        DAY,
        "/v1/accounts/a/days?from=2026-01-01&to=2026-01-02",
        "/v1/accounts/a/balance",
        "/v1/accounts/a/launches?date=2026-01-01",
        "/v1/accounts",
    ];
    for path in paths {
        let first = world.ask(path).at_least(&position, 10_000).send().await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with("W/\""), "{path}: {first:?}");
        for asked in [etag.clone(), etag.replace("W/", ""), "*".to_owned(), format!("\"other\", {etag}")] {
            let second = world.ask(path).header("if-none-match", &asked).send().await;
            assert_eq!((second.status, second.text.as_str()), (304, ""), "{path} {asked}");
            assert_eq!(second.header("etag"), etag, "{path}");
            for name in ["saldo-position", "saldo-applied-at", "saldo-complete"] {
                assert_eq!(second.header(name), first.header(name), "{path} {name}");
            }
        }
        let other = world.ask(path).header("if-none-match", "W/\"other\"").send().await;
        assert_eq!((other.status, other.text), (200, first.text), "{path}");
    }
}

#[tokio::test]
async fn the_etag_stays_while_only_the_position_moves_and_changes_with_the_content() {
    let mut world = World::new().await;
    let lane = world.worker.partition("acme", "a");
    let neighbour = (0..).map(|number| format!("n{number}")).find(|name| world.worker.partition("acme", name) == lane);
    let neighbour = neighbour.unwrap();
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    let first = world.ask(DAY).at_least(&position, 10_000).send().await;
    let position = world.post(&[Entry::credit(&neighbour, "2026-01-01", "1", "1.00")]).await;
    let second = world.ask(DAY).at_least(&position, 10_000).header("if-none-match", first.header("etag")).send().await;
    assert_eq!((second.status, second.header("saldo-position")), (304, position.as_str()));
    let position = world.post(&[Entry::credit("a", "2025-12-31", "2", "1.00")]).await;
    let third = world.ask(DAY).at_least(&position, 10_000).header("if-none-match", first.header("etag")).send().await;
    assert_eq!(third.status, 200);
    assert_eq!(third.json()["currencies"][0]["opening"], "1.00");
}
