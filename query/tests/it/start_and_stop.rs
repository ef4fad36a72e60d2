//! Starts over every kind of store, and stops.

use protocol::notice::{Changed, Notice};

use crate::world::{Beginning, Entry, World};

#[tokio::test]
async fn an_empty_store_is_answered_for() {
    let world = World::begin(Beginning { hearts_beat: false, ..Beginning::default() }).await;
    let accounts = async |world: &World| Some(world.get("/v1/accounts").await).filter(|answer| answer.status == 200);
    let answer = world.wait_for("the first answer", accounts).await;
    assert_eq!(answer.text, "{\"items\":[],\"next\":null}");
    assert_eq!(answer.header("saldo-position"), "1.0.0-1.0-2.0-3.0");
    assert_eq!(answer.header("saldo-applied-at"), "1970-01-01T00:00:00.000Z");
    assert_eq!(answer.header("saldo-complete"), "false");
    let unknown = world.get("/v1/accounts/a/days/2026-01-01").await;
    assert_eq!(unknown.refusal(), (404, "unknown_account".to_owned()));
    world.heart.set(true);
    world.wait_until_fresh().await;
}

#[tokio::test]
async fn the_store_tells_how_many_lanes_there_are() {
    let beginning = || Beginning { partitions: 16, assumed_partitions: 2, ..Beginning::default() };
    let mut world = World::begin(beginning()).await;
    let account = (0..).map(|number| format!("a{number}"));
    let account = account.skip(1).find(|name| world.worker.partition("acme", name) == 13).unwrap();
    let position = world.post(&[Entry::credit(&account, "2026-01-01", "1", "1.00")]).await;
    let path = format!("/v1/accounts/{account}/balance");
    let found = async |world: &World| {
        let answer = world.ask(&path).at_least(&position, 1_000).send().await;
        (answer.status == 200 && answer.header("saldo-position") == position).then_some(())
    };
    world.wait_for("the lane to be known", found).await;
    world.stop_query().await.unwrap();
    world.start_query().await;
    world.wait_for("the lane to be known again", found).await;
}

/// A list of an empty store that waits for a position: the first progress lays the lanes out anew, and it waits for those.
#[tokio::test]
async fn a_list_that_waits_waits_for_the_lanes_that_are_laid_out_anew() {
    let mut world = World::new().await;
    let lane = world.worker.partition("acme", "a");
    let waiting = tokio::spawn(world.ask("/v1/accounts").at_least(&format!("1.{lane}.2"), 10_000).send());
    let waits = async |world: &World| (world.metric("saldo_query_waits_total").await >= 1.0).then_some(());
    world.wait_for("the list to wait", waits).await;
    let first = world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    assert_eq!(first.to, 1);
    world.tell(&first).await;
    world.wait_until_fresh().await;
    let bypasses = world.metric("saldo_query_bypasses_total").await;
    for _ in 0..20 {
        assert_eq!(world.metric("saldo_query_bypasses_total").await.to_bits(), bypasses.to_bits(), "it asks the store");
    }
    assert!(!waiting.is_finished());
    let position = world.post(&[Entry::credit("a", "2026-01-01", "2", "1.00")]).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.header("saldo-position").contains(position.trim_start_matches("1.")), "{answer:?}");
}

#[tokio::test]
async fn a_store_of_another_epoch_is_refused() {
    let mut world = World::without_query(Beginning { epoch: 2, ..Beginning::default() }).await;
    let of_lane_0 = (0..).map(|number| format!("a{number}"));
    let of_lane_0 = of_lane_0.skip(1).find(|name| world.worker.partition("acme", name) == 0).unwrap();
    world.commit(&[Entry::credit(&of_lane_0, "2026-01-01", "1", "1.00")]).await;
    world.start_query().await;
    let error = world.end_of_query().await.unwrap_err();
    assert!(format!("{error:#}").contains("epoch"), "{error:#}");
}

/// A store under another log than the one that it was filled from: its worker will tell, and until then nothing is answered.
#[tokio::test]
async fn before_a_lanes_worker_was_heard_nothing_is_told_of_the_lane() {
    let beginning = Beginning { hearts_beat: false, first_word_ms: Some(3_600_000), ..Beginning::default() };
    let mut world = World::without_query(beginning).await;
    let ours = world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    let other =
        (0..).map(|number| format!("n{number}")).find(|name| world.worker.partition("acme", name) != ours.partition);
    let other = other.unwrap();
    let others = world.commit(&[Entry::credit(&other, "2026-01-01", "1", "1.00")]).await;
    world.start_query().await;
    let within = |world: &World, account: &str, wait_ms: u64| {
        world.ask(&format!("/v1/accounts/{account}/balance")).header("saldo-wait-ms", wait_ms.to_string())
    };
    let waits = async |world: &World| {
        let answer = within(world, "a", 0).send().await;
        (answer.refusal() == (503, "store_unavailable".to_owned()) && answer.text.contains("was not heard"))
            .then_some(())
    };
    world.wait_for("the lanes to be laid out", waits).await;
    let patient = tokio::spawn(within(&world, "a", 10_000).send());

    let refusal = Notice { from: 0, to: 0, end: 0, time_ms: 0, changed: Changed::Refused, ..ours };
    let refused = async |world: &World| {
        world.publish(&refusal).await;
        (within(world, "a", 0).send().await.refusal() == (503, "account_stopped".to_owned())).then_some(())
    };
    world.wait_for("the refusal to be heard", refused).await;
    assert_eq!(patient.await.unwrap().problem(), "account_stopped");
    assert_eq!(
        within(&world, &other, 0).send().await.problem(),
        "store_unavailable",
        "of the other lane nothing was heard"
    );
    world.publish(&others).await;
    let answered = async |world: &World| (within(world, &other, 0).send().await.status == 200).then_some(());
    world.wait_for("the other lane's worker to be heard", answered).await;
}

#[tokio::test]
async fn without_nats_the_store_is_answered_from() {
    let mut world = World::without_query(Beginning::default()).await;
    let notice = world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.nats.kill().unwrap();
    world.start_query().await;
    let path = "/v1/accounts/a/balance";
    let answered = async |world: &World| Some(world.get(path).await).filter(|answer| answer.status == 200);
    let answer = world.wait_for("an answer", answered).await;
    let position = format!("1.{}.{}", notice.partition, notice.to);
    assert_eq!((answer.header("saldo-position"), answer.header("saldo-complete")), (position.as_str(), "false"));
    world.nats.restart().unwrap();
    world.heart.beat_at(&notice);
    world.wait_until_fresh().await;
}

#[tokio::test]
async fn before_the_store_answers_readers_are_sent_away() {
    let mut world = World::without_query(Beginning::default()).await;
    world.gate.fail(true);
    world.start_query().await;
    let impatient = world.ask("/v1/accounts/a/balance").header("saldo-wait-ms", "0").send().await;
    assert_eq!(impatient.refusal(), (503, "store_unavailable".to_owned()));
    let patient = tokio::spawn(world.ask("/v1/accounts").header("saldo-wait-ms", "10000").send());
    assert_eq!(world.get("/health/ready").await.status, 503);
    assert_eq!(world.get("/health/live").await.status, 200);
    assert!(!patient.is_finished());
    world.gate.fail(false);
    assert_eq!(patient.await.unwrap().status, 200);
    world.wait_until_fresh().await;
    let ready = async |world: &World| (world.get("/health/ready").await.status == 200).then_some(());
    world.wait_for("ready", ready).await;
}

#[tokio::test]
async fn a_stop_lets_waiting_readers_go() {
    let mut world = World::new().await;
    let waiting = tokio::spawn(world.ask("/v1/accounts/a/balance").at_least("1.0.5-1.5-2.5-3.5", 10_000).send());
    let waits = async |world: &World| (world.metric("saldo_query_waits_total").await >= 1.0).then_some(());
    world.wait_for("a waiting reader", waits).await;
    world.begin_stop();
    assert_eq!(waiting.await.unwrap().refusal(), (503, "shutting_down".to_owned()));
    world.end_of_query().await.unwrap();
}
