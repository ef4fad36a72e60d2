//! The cache, and when it is passed by.

use store::Call;

use crate::world::{Entry, World};

const DAY: &str = "/v1/accounts/a/days/2026-01-02";

/// A world with an account whose day is cached.
async fn with_cached_day() -> World {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);
    world
}

#[tokio::test]
async fn a_cached_day_costs_no_read_until_it_changes() {
    let mut world = with_cached_day().await;
    let reads = world.gate.reads();
    for _ in 0..20 {
        assert_eq!(world.get(DAY).await.status, 200);
    }
    let position = world.post(&[Entry::credit("a", "2026-01-03", "2", "1.00")]).await;
    let unchanged = world.ask(DAY).at_least(&position, 10_000).send().await;
    assert_eq!((world.gate.reads(), unchanged.header("saldo-position")), (reads, position.as_str()));
    let position = world.post(&[Entry::credit("a", "2026-01-01", "3", "5.00")]).await;
    let changed = world.ask(DAY).at_least(&position, 10_000).send().await;
    assert_eq!((changed.json()["currencies"][0]["opening"].clone(), world.gate.reads()), ("5.00".into(), reads + 1));
}

#[tokio::test]
async fn many_readers_of_one_day_share_one_read() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    world.ask("/v1/accounts/b/balance").at_least(&position, 10_000).send().await;
    world.gate.hold(Some(Call::AccountView));
    let before = world.gate.reads();
    let readers: Vec<_> = (0..50).map(|_| tokio::spawn(world.ask(DAY).at_least(&position, 10_000).send())).collect();
    let joined = async |world: &World| (world.metric("saldo_query_joined_fills_total").await >= 49.0).then_some(());
    world.wait_for("49 readers who joined", joined).await;
    world.gate.hold(None);
    for reader in readers {
        let answer = reader.await.unwrap();
        assert_eq!((answer.status, answer.json()["currencies"][0]["closing"].clone()), (200, "1.00".into()));
    }
    assert_eq!(world.gate.reads(), before + 1);
}

#[tokio::test]
async fn a_reader_with_a_newer_position_does_not_join_an_older_read() {
    let mut world = with_cached_day().await;
    world.gate.hold(Some(Call::AccountView));
    let path = "/v1/accounts/a/days/2026-01-01";
    let older = tokio::spawn(world.ask(path).send());
    let filled = async |world: &World| (world.metric("saldo_query_fills_total").await >= 2.0).then_some(());
    world.wait_for("the older read", filled).await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "2", "3.00")]).await;
    let newer = tokio::spawn(world.ask(path).at_least(&position, 10_000).send());
    let filled = async |world: &World| (world.metric("saldo_query_fills_total").await >= 3.0).then_some(());
    world.wait_for("the newer read", filled).await;
    world.gate.hold(None);
    let (older, newer) = (older.await.unwrap(), newer.await.unwrap());
    assert_ne!(older.header("saldo-position"), position, "it carries the position of its beginning");
    assert_eq!(newer.header("saldo-position"), position);
    assert_eq!(newer.json()["currencies"][0]["closing"], "3.00");
    assert_eq!(world.get(path).await.json()["currencies"][0]["closing"], "3.00");
}

#[tokio::test]
async fn without_heartbeats_answers_come_from_the_store_and_are_not_complete() {
    let mut world = with_cached_day().await;
    world.heart.set(false);
    let silent = async |world: &World| (world.get(DAY).await.header("saldo-complete") == "false").then_some(());
    world.wait_for("the silence to be noticed", silent).await;
    let reads = world.gate.reads();
    world.get(DAY).await;
    assert_eq!(world.gate.reads(), reads + 1);
    let notice = world.commit(&[Entry::credit("a", "2026-01-02", "2", "1.00")]).await;
    let position = world.position(notice.partition, notice.to);
    let answer = world.ask(DAY).at_least(&position, 0).send().await;
    assert_eq!((answer.status, answer.header("saldo-complete")), (200, "false"), "the store tells how far it is");
    assert_eq!(answer.json()["currencies"][0]["credit_count"], 2);
    assert_eq!(answer.json()["complete"], false);
    world.tell(&notice).await;
    world.heart.set(true);
    world.wait_until_fresh().await;
    assert_eq!(world.get(DAY).await.json()["complete"], true);
}

#[tokio::test]
async fn an_end_that_is_not_reached_is_not_complete() {
    let mut world = with_cached_day().await;
    let mut notice = world.commit(&[Entry::credit("b", "2026-01-02", "2", "1.00")]).await;
    notice.end += 5;
    let lagging = "/v1/accounts/b/balance";
    world.tell(&notice).await;
    let position = world.position(notice.partition, notice.to);
    let answer = world.ask(lagging).at_least(&position, 10_000).send().await;
    assert_eq!((answer.status, answer.header("saldo-complete")), (200, "false"));
    assert_eq!(world.get("/v1/accounts").await.header("saldo-complete"), "false");
}
