//! Readers who demand a position.

use std::time::{Duration, Instant};

use crate::world::{Entry, World};

const BALANCE: &str = "/v1/accounts/a/balance";

#[tokio::test]
async fn a_reader_waits_for_its_own_write() {
    let mut world = World::new().await;
    let notice = world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    let position = world.position(notice.partition, notice.to);
    let waiting = tokio::spawn(world.ask(BALANCE).at_least(&position, 10_000).send());
    world
        .wait_for("a waiting reader", async |world| {
            (world.metric("saldo_query_waits_total").await >= 1.0).then_some(())
        })
        .await;
    assert!(!waiting.is_finished());
    world.tell(&notice).await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.header("saldo-position")), (200, position.as_str()));
}

#[tokio::test]
async fn what_is_not_applied_in_time_is_refused_and_never_older() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    assert_eq!(world.ask(BALANCE).at_least(&position, 10_000).send().await.status, 200);
    let lane = world.worker.partition("acme", "a");
    let beyond = world.position(lane, world.worker.last(lane) + 1);
    let start = Instant::now();
    let refused = world.ask(BALANCE).at_least(&beyond, 300).send().await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(refused.refusal(), (503, "not_yet_applied".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["position"], position);
    assert_eq!(world.ask(BALANCE).at_least(&beyond, 0).send().await.status, 503);
    assert_eq!(world.metric("saldo_query_waits_given_up_total").await, 2.0);
}

#[tokio::test]
async fn the_wait_comes_before_the_404() {
    let mut world = World::new().await;
    assert_eq!(world.get(BALANCE).await.refusal(), (404, "unknown_account".to_owned()));
    let notice = world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    let beyond = world.position(notice.partition, notice.to + 5);
    assert_eq!(world.ask(BALANCE).at_least(&beyond, 50).send().await.problem(), "not_yet_applied");
    let stranger = (0..).map(|number| format!("n{number}"));
    let stranger = stranger.skip(1).find(|name| world.worker.partition("acme", name) == notice.partition).unwrap();
    let path = format!("/v1/accounts/{stranger}/balance");
    let waiting = tokio::spawn(world.ask(&path).at_least(&world.position(notice.partition, notice.to), 10_000).send());
    world.tell(&notice).await;
    assert_eq!(waiting.await.unwrap().refusal(), (404, "unknown_account".to_owned()));
}

#[tokio::test]
async fn a_position_of_another_log_means_nothing() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.ask(BALANCE).at_least(&position, 10_000).send().await;
    for path in [BALANCE, "/v1/accounts", "/v1/accounts/unknown/balance"] {
        assert_eq!(
            world.ask(path).at_least("1.0a1b2c3d.0.1", 0).send().await.refusal(),
            (410, "position_gone".to_owned()),
            "{path}"
        );
        let of_another_epoch = position.replacen("1.", "2.", 1);
        assert_eq!(world.ask(path).at_least(&of_another_epoch, 0).send().await.problem(), "position_gone", "{path}");
        let of_an_earlier_version = world.ask(path).at_least("1.0.1", 0).send().await;
        assert_eq!(of_an_earlier_version.refusal(), (410, "position_gone".to_owned()), "{path}");
    }
    let of_no_lane = world.ask(BALANCE).at_least(&world.position(4, 1), 0).send().await;
    assert_eq!(of_no_lane.refusal(), (400, "position_invalid".to_owned()));
}

#[tokio::test]
async fn a_position_of_other_lanes_demands_nothing_of_this_one() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.ask(BALANCE).at_least(&position, 10_000).send().await;
    let other = (world.worker.partition("acme", "a") + 1) % 4;
    assert_eq!(world.ask(BALANCE).at_least(&world.position(other, 999_999), 0).send().await.status, 200);
}
