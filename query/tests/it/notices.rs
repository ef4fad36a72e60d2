//! Notices that are lost, late, or of a worker that replays.

use protocol::{
    log::Incarnation,
    notice::{Changed, MAX_STOPPED_ACCOUNTS, Notice},
};

use crate::world::{Beginning, Entry, World, worker_account};

const DAY: &str = "/v1/accounts/a/days/2026-01-02";

async fn with_cached_day() -> World {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);
    world
}

fn credit(id: &str) -> Entry {
    Entry::credit("a", "2026-01-02", id, "1.00")
}

fn position_of(world: &World, notice: &Notice) -> String {
    world.position(notice.partition, notice.to)
}

#[tokio::test]
async fn a_lost_notice_is_found_out_by_the_next() {
    let mut world = with_cached_day().await;
    let _lost = world.commit(&[credit("2")]).await;
    assert_eq!(world.get(DAY).await.json()["currencies"][0]["closing"], "1.00", "nobody has told");
    let mut next = world.commit(&[credit("3")]).await;
    next.changed = Changed::Accounts(Vec::new());
    world.tell(&next).await;
    let answer = world.ask(DAY).at_least(&position_of(&world, &next), 10_000).send().await;
    assert_eq!(answer.json()["currencies"][0]["closing"], "3.00");
    assert!(world.metric("saldo_query_gaps_total").await >= 1.0);
}

#[tokio::test]
async fn a_lost_notice_is_found_out_by_a_heartbeat() {
    let mut world = with_cached_day().await;
    let lost = world.commit(&[credit("2")]).await;
    world.heart.beat_at(&lost);
    let answer = world.ask(DAY).at_least(&position_of(&world, &lost), 10_000).send().await;
    assert_eq!(answer.json()["currencies"][0]["closing"], "2.00");
}

#[tokio::test]
async fn what_changed_while_nats_was_away_is_seen_afterwards() {
    let mut world = with_cached_day().await;
    world.nats.kill().unwrap();
    let missed = world.commit(&[credit("2")]).await;
    world.heart.beat_at(&missed);
    world.nats.restart().unwrap();
    world.wait_until_fresh().await;
    let answer = world.ask(DAY).at_least(&position_of(&world, &missed), 10_000).send().await;
    assert_eq!(
        (answer.json()["currencies"][0]["closing"].clone(), answer.header("saldo-complete")),
        ("2.00".into(), "true")
    );
    assert!(world.metric("saldo_query_notice_losses_total").await >= 1.0);
}

#[tokio::test]
async fn a_notice_that_says_all_drops_all() {
    let mut world = with_cached_day().await;
    let mut notice = world.commit(&[credit("2")]).await;
    notice.changed = Changed::All;
    world.tell(&notice).await;
    let answer = world.ask(DAY).at_least(&position_of(&world, &notice), 10_000).send().await;
    assert_eq!(answer.json()["currencies"][0]["closing"], "2.00");
}

#[tokio::test]
async fn while_a_worker_replays_no_more_is_claimed_than_it_has_replayed() {
    let mut world = with_cached_day().await;
    let notice = world.commit(&[credit("2")]).await;
    world.tell(&notice).await;
    let position = position_of(&world, &notice);
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);
    let replay = Notice { from: 1, to: 1, replaying: true, changed: Changed::Accounts(Vec::new()), ..notice.clone() };
    world.tell(&replay).await;
    let lowered = async |world: &World| {
        let answer = world.get(DAY).await;
        (answer.header("saldo-position") != position && answer.header("saldo-complete") == "false").then_some(())
    };
    world.wait_for("the replay to be known", lowered).await;
    assert_eq!(world.ask(DAY).at_least(&position, 50).send().await.problem(), "not_yet_applied");
    world.tell(&Notice { from: 1, ..notice.clone() }).await;
    let answer = world.ask(DAY).at_least(&position, 10_000).send().await;
    assert_eq!((answer.status, answer.header("saldo-complete")), (200, "true"));
}

/// Where a store commits step by step, some of what it held above the position that is replayed may be gone.
#[tokio::test]
async fn while_a_worker_replays_readers_of_rows_above_the_position_wait() {
    let mut world = World::begin(Beginning { commits_are_whole: false, ..Beginning::default() }).await;
    world.wait_until_fresh().await;
    let lane = world.worker.partition("acme", "a");
    let other = (0..).map(|number| format!("n{number}")).find(|name| world.worker.partition("acme", name) == lane);
    let other = other.unwrap();
    let of_other = world.commit(&[Entry::credit(&other, "2026-01-02", "1", "1.00")]).await;
    world.tell(&of_other).await;
    let notice = world.commit(&[credit("2")]).await;
    world.tell(&notice).await;
    let (before, position) = (position_of(&world, &of_other), position_of(&world, &notice));
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);

    let (from, to) = (of_other.to, of_other.to);
    world.tell(&Notice { from, to, replaying: true, changed: Changed::Accounts(Vec::new()), ..notice.clone() }).await;
    let day_of_other = format!("/v1/accounts/{other}/days/2026-01-02");
    let lowered =
        async |world: &World| (world.get(&day_of_other).await.header("saldo-position") == before).then_some(());
    world.wait_for("the replay to be heard", lowered).await;
    for path in [DAY, "/v1/accounts/a/balance", "/v1/accounts/a/launches?date=2026-01-02"] {
        let refused = world.ask(path).header("saldo-wait-ms", "50").send().await;
        assert_eq!(refused.refusal(), (503, "not_yet_applied".to_owned()), "{path}");
    }
    world.tell(&Notice { from, ..notice.clone() }).await;
    let answer = world.ask(DAY).header("saldo-wait-ms", "10000").send().await;
    assert_eq!((answer.status, answer.header("saldo-position")), (200, position.as_str()));
}

#[tokio::test]
async fn a_stopped_account_is_not_answered_and_others_are() {
    let mut world = with_cached_day().await;
    let lane = world.worker.partition("acme", "a");
    let other = (0..).map(|number| format!("n{number}")).find(|name| world.worker.partition("acme", name) == lane);
    let other = other.unwrap();
    let mut notice = world.commit(&[Entry::credit(&other, "2026-01-02", "1", "1.00")]).await;
    notice.stopped = vec![worker_account("acme", "a")];
    world.tell(&notice).await;
    let other = format!("/v1/accounts/{other}/balance");
    assert_eq!(world.ask(&other).at_least(&position_of(&world, &notice), 10_000).send().await.status, 200);
    for path in [DAY, "/v1/accounts/a/balance", "/v1/accounts/a/launches?date=2026-01-02"] {
        assert_eq!(world.get(path).await.refusal(), (503, "account_stopped".to_owned()), "{path}");
    }
    assert_eq!(world.get("/v1/accounts").await.items().len(), 2);
}

#[tokio::test]
async fn strangers_notices_change_nothing() {
    let mut world = with_cached_day().await;
    let notice = world.commit(&[credit("2")]).await;
    for stranger in [
        Notice { generation: 9, ..notice.clone() },
        Notice { epoch: 9, ..notice.clone() },
        Notice { incarnation: Some(Incarnation::of("another")), ..notice.clone() },
        Notice { partition: 900, ..notice.clone() },
    ] {
        world.publish(&stranger).await;
    }
    let ignored = async |world: &World| (world.metric("saldo_query_ignored_notices_total").await >= 4.0).then_some(());
    world.wait_for("four ignored notices", ignored).await;
    assert_eq!(world.ask(DAY).at_least(&position_of(&world, &notice), 0).send().await.problem(), "not_yet_applied");
}

/// Damage, found by the worker; a stop of the whole lane; the repair, reported by the next worker when it has folded it all again.
#[tokio::test]
async fn a_lane_that_was_stopped_is_answered_again_when_its_worker_reports_it_repaired() {
    let mut world = with_cached_day().await;
    let notice = world.commit(&[credit("2")]).await;
    world.tell(&notice).await;
    let names = |first: usize| (first..first + MAX_STOPPED_ACCOUNTS).map(|number| format!("damaged-{number}"));
    for first in [0, MAX_STOPPED_ACCOUNTS] {
        let stopped = names(first).map(|name| worker_account("acme", &name)).collect();
        world.publish(&Notice { from: notice.to, end: notice.end + 1, stopped, ..notice.clone() }).await;
    }
    let refused = async |world: &World| (world.get(DAY).await.status == 503).then_some(());
    world.wait_for("the lane to be stopped", refused).await;
    assert_eq!(world.get(DAY).await.refusal(), (503, "account_stopped".to_owned()));

    let of_the_next = Notice { worker: Some(2), from: 0, to: 0, replaying: true, ..notice.clone() };
    world.tell(&of_the_next).await;
    let ignored = world.metric("saldo_query_notices_total").await;
    let heard = async |world: &World| (world.metric("saldo_query_notices_total").await >= ignored + 8.0).then_some(());
    world.wait_for("heartbeats of the worker that replays", heard).await;
    assert_eq!(world.get(DAY).await.problem(), "account_stopped", "it has not looked at all of it yet");
    let repaired = world.commit(&[credit("3")]).await;
    world.tell(&Notice { worker: Some(2), from: 0, ..repaired }).await;
    let answered = async |world: &World| Some(world.get(DAY).await).filter(|answer| answer.status == 200);
    let answer = world.wait_for("an answer", answered).await;
    assert_eq!(answer.json()["currencies"][0]["closing"], "3.00");
}
