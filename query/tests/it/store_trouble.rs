//! A store that fails, is reopened, or makes the service stumble.

use store::Call;

use crate::world::{Entry, World};

const DAY: &str = "/v1/accounts/a/days/2026-01-02";

async fn with_cached_day() -> World {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);
    world
}

#[tokio::test]
async fn while_the_store_is_away_what_is_cached_goes_on() {
    let world = with_cached_day().await;
    world.gate.fail(true);
    for path in ["/v1/accounts/a/balance", "/v1/accounts", "/v1/accounts/a/launches?date=2026-01-02"] {
        let answer = world.get(path).await;
        assert_eq!(answer.refusal(), (503, "store_unavailable".to_owned()), "{path}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(world.get(DAY).await.status, 200);
    let unready = async |world: &World| (world.get("/health/ready").await.status == 503).then_some(());
    world.wait_for("not ready", unready).await;
    assert_eq!(world.get("/health/live").await.status, 200);
    world.heart.set(false);
    let refused = async |world: &World| (world.get(DAY).await.status == 503).then_some(());
    world.wait_for("the cache to be closed without heartbeats", refused).await;
    world.gate.fail(false);
    assert_eq!(world.get(DAY).await.status, 200);
    let ready = async |world: &World| (world.get("/health/ready").await.status == 200).then_some(());
    world.wait_for("ready", ready).await;
}

#[tokio::test]
async fn a_reopened_store_empties_the_cache_and_reads_in_flight_begin_anew() {
    let world = with_cached_day().await;
    world.gate.hold(Some(Call::AccountView));
    let before = world.gate.reads();
    let in_flight = tokio::spawn(world.ask("/v1/accounts/a/balance").send());
    let reading = async |world: &World| (world.gate.reads() > before).then_some(());
    world.wait_for("a read", reading).await;
    world.gate.reopen();
    world.gate.hold(None);
    assert_eq!(in_flight.await.unwrap().status, 200);
    assert_eq!(world.gate.reads(), before + 2, "it began anew");
    let answer = world.get(DAY).await;
    assert_eq!((answer.status, world.gate.reads()), (200, before + 3));
    let lane = world.worker.partition("acme", "a");
    assert_eq!(answer.header("saldo-position"), world.position(lane, world.worker.last(lane)));
}

#[tokio::test]
async fn a_reader_who_waits_when_the_store_is_reopened_asks_it_and_waits_on() {
    let mut world = with_cached_day().await;
    let notice = world.commit(&[Entry::credit("a", "2026-01-02", "2", "1.00")]).await;
    let beyond = world.position(notice.partition, notice.to + 1);
    let waits = world.metric("saldo_query_waits_total").await;
    let waiting = tokio::spawn(world.ask(DAY).at_least(&beyond, 10_000).send());
    let waits_again = async |world: &World, times: f64| {
        (world.metric("saldo_query_waits_total").await >= waits + times).then_some(())
    };
    world.wait_for("a waiting reader", |world| waits_again(world, 1.0)).await;
    world.gate.reopen();
    world.wait_for("the reader to wait anew, with progress read", |world| waits_again(world, 2.0)).await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "3", "1.00")]).await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.header("saldo-position")), (200, position.as_str()));
}

#[tokio::test]
async fn progress_that_was_read_while_the_store_was_lost_again_is_read_once_more() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    assert_eq!(world.ask(DAY).at_least(&position, 10_000).send().await.status, 200);
    world.gate.hold(Some(Call::PartitionState));
    world.gate.reopen();
    let bypasses = world.metric("saldo_query_bypasses_total").await;
    let reader = tokio::spawn(world.ask(DAY).at_least(&position, 0).send());
    let asks = async |world: &World| (world.metric("saldo_query_bypasses_total").await > bypasses).then_some(());
    world.wait_for("the reader to ask for progress", asks).await;
    world.gate.reopen();
    let notices = world.metric("saldo_query_notices_total").await;
    let heard = async |world: &World| (world.metric("saldo_query_notices_total").await >= notices + 2.0).then_some(());
    world.wait_for("a heartbeat with which the second loss is noted", heard).await;
    world.gate.hold(None);
    assert_eq!(reader.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_fault_while_reading_is_one_readers_trouble() {
    let world = with_cached_day().await;
    world.gate.panic_once();
    assert_eq!(world.get("/v1/accounts/a/balance").await.refusal(), (500, "internal".to_owned()));
    assert_eq!(world.get("/v1/accounts/a/balance").await.status, 200);
}
