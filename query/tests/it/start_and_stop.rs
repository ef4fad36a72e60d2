//! Starts over every kind of store, and stops.

use nats::Renaming;
use protocol::notice::{Changed, Notice};
use store::Call;

use crate::world::{Beginning, Entry, World};

#[tokio::test]
async fn an_empty_store_is_answered_for() {
    let world = World::begin(Beginning { hearts_beat: false, ..Beginning::default() }).await;
    let accounts = async |world: &World| Some(world.get("/v1/accounts").await).filter(|answer| answer.status == 200);
    let answer = world.wait_for("the first answer", accounts).await;
    assert_eq!(answer.text, "{\"items\":[],\"next\":null}");
    let name = world.worker.identity.name();
    assert_eq!(answer.header("saldo-position"), format!("{name}.0.0-1.0-2.0-3.0"));
    assert_eq!(answer.header("saldo-applied-at"), "1970-01-01T00:00:00.000Z");
    assert_eq!(answer.header("saldo-complete"), "false");
    let unknown = world.get("/v1/accounts/a/days/2026-01-01").await;
    assert_eq!(unknown.refusal(), (404, "unknown_account".to_owned()));
    world.heart.set(true);
    world.wait_until_fresh().await;
}

#[tokio::test]
async fn the_log_tells_how_many_lanes_there_are() {
    let mut world = World::begin(Beginning { partitions: 16, ..Beginning::default() }).await;
    let account = (0..).map(|number| format!("a{number}"));
    let account = account.skip(1).find(|name| world.worker.partition("acme", name) == 13).unwrap();
    let path = format!("/v1/accounts/{account}/balance");
    let beyond = world.position(13, 1);
    let waits = world.ask(&path).at_least(&beyond, 0).send().await;
    assert_eq!(waits.status, 503, "never an answer that is older than was demanded, nor a 404: {waits:?}");
    let position = world.post(&[Entry::credit(&account, "2026-01-01", "1", "1.00")]).await;
    let answer = world.ask(&path).at_least(&position, 10_000).send().await;
    assert_eq!((answer.status, answer.header("saldo-position")), (200, position.as_str()));
}

/// Nobody knows how many lanes there are, nor which log a position would be of.
#[tokio::test]
async fn before_there_is_a_log_readers_wait_and_are_sent_away() {
    let beginning = Beginning { has_log: false, first_word_ms: Some(0), ..Beginning::default() };
    let mut world = World::begin(beginning).await;
    let path = "/v1/accounts/a/balance";
    for demanded in [None, Some("1.0a1b2c3d.0.1")] {
        let ask = world.ask(path).header("saldo-wait-ms", "0");
        let ask = demanded.into_iter().fold(ask, |ask, position| ask.header("saldo-min-position", position));
        assert_eq!(ask.send().await.refusal(), (503, "store_unavailable".to_owned()), "{demanded:?}");
    }
    let unready = async |world: &World| {
        world.get("/health/ready").await.text.contains("there is no stream LAUNCHES").then_some(())
    };
    world.wait_for("readiness to say why", unready).await;
    let waiting = tokio::spawn(world.ask(path).header("saldo-wait-ms", "10000").send());
    world.make_log().await;
    assert_eq!(waiting.await.unwrap().refusal(), (404, "unknown_account".to_owned()));
    let position = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    assert_eq!(world.ask(path).at_least(&position, 10_000).send().await.status, 200);
    world.wait_until_fresh().await;
}

/// Under a service that runs: nothing of the former log is told, and what was given out of it is known to be gone.
#[tokio::test]
async fn a_log_that_gets_another_name_is_noticed_and_a_store_of_it_is_answered_from() {
    for renaming in [Renaming::Restored, Renaming::RaisedEpoch(None)] {
        let mut world = World::new().await;
        let before = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
        let path = "/v1/accounts/a/launches?date=2026-01-01&limit=1";
        let told = world.ask(path).at_least(&before, 10_000).send().await;
        let renamed = world.rename_log(renaming).await;
        let stopped = async |world: &World| (world.get(path).await.status == 503).then_some(());
        world.wait_for("nothing to be told", stopped).await;
        for path in [path, "/v1/accounts", "/v1/accounts/unknown/balance"] {
            assert_eq!(world.get(path).await.refusal(), (503, "account_stopped".to_owned()), "{path}");
        }
        let readiness = world.get("/health/ready").await;
        assert_eq!(readiness.status, 503);
        assert!(readiness.text.contains(renamed.stream_id.as_str()), "{readiness:?}");

        // A store of the renamed log in place of the former one, as another service would fill it.
        world.worker.identity = renamed;
        let after = world.post(&[Entry::credit("a", "2026-01-01", "2", "1.00")]).await;
        let answered = async |world: &World| Some(world.get(path).await).filter(|answer| answer.status == 200);
        world.wait_for("an answer", answered).await;
        let ask = world.ask(path).at_least(&after, 10_000).header("if-none-match", told.header("etag"));
        let answer = ask.send().await;
        assert_eq!((answer.status, answer.header("saldo-position")), (200, after.as_str()));
        assert_ne!(answer.header("etag"), told.header("etag"));
        let gone = world.ask(path).at_least(&before, 0).send().await;
        assert_eq!(gone.refusal(), (410, "position_gone".to_owned()));
        world.stop_query().await.unwrap();
    }
}

/// What is read for a log that is served no more may have been written by another's worker.
#[tokio::test]
async fn reads_in_flight_begin_anew_when_the_log_gets_another_name() {
    for (path, held) in [("/v1/accounts/a/balance", Call::AccountView), ("/v1/accounts", Call::Accounts)] {
        let mut world = World::new().await;
        let before = world.post(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
        let day = "/v1/accounts/a/days/2026-01-01";
        assert_eq!(world.ask(day).at_least(&before, 10_000).send().await.status, 200);
        world.gate.hold(Some(held));
        let begun = |world: &World| world.gate.reads() + world.gate.lists();
        let reads = begun(&world);
        let in_flight = tokio::spawn(world.ask(path).header("saldo-wait-ms", "10000").send());
        let reading = async |world: &World| (begun(world) > reads).then_some(());
        world.wait_for("a read", reading).await;
        let renamed = world.rename_log(Renaming::Restored).await;
        let unready = async |world: &World| (world.get("/health/ready").await.status == 503).then_some(());
        world.wait_for("nothing to be told", unready).await;
        world.worker.identity = renamed;
        let after = world.post(&[Entry::credit("a", "2026-01-01", "2", "1.00")]).await;
        let ready = async |world: &World| (world.get("/health/ready").await.status == 200).then_some(());
        world.wait_for("the store to be served", ready).await;
        world.gate.hold(None);
        let answer = in_flight.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let name = |position: &str| position.split('.').take(2).collect::<Vec<_>>().join(".");
        assert_eq!(name(answer.header("saldo-position")), name(&after), "{path}");
        world.stop_query().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_of_another_log_is_not_answered_from() {
    let mut world = World::without_query(Beginning::default()).await;
    world.commit(&[Entry::credit("a", "2026-01-01", "1", "1.00")]).await;
    world.rename_log(Renaming::RaisedEpoch(None)).await;
    world.start_query().await;
    let path = "/v1/accounts/a/balance";
    let answer = world.ask(path).header("saldo-wait-ms", "10000").send().await;
    assert_eq!(answer.refusal(), (503, "account_stopped".to_owned()));
    assert!(world.get("/health/ready").await.text.contains("the store was filled from"));
    world.stop_query().await.unwrap();
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
    world.publish(&refusal).await;
    let list = world.ask("/v1/accounts").header("saldo-wait-ms", "0").send().await;
    assert_eq!(
        list.refusal(),
        (503, "account_stopped".to_owned()),
        "accounts of a lane that is refused may be missing"
    );
    let covered = world.position(others.partition, others.to);
    let list = world.ask("/v1/accounts").at_least(&covered, 10_000).send().await;
    assert_eq!(list.refusal(), (503, "account_stopped".to_owned()), "whatever is demanded");
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
    let position = world.position(notice.partition, notice.to);
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
    let waiting = tokio::spawn(
        world
            .ask("/v1/accounts/a/balance")
            .at_least(&format!("{}.0.5-1.5-2.5-3.5", world.worker.identity.name()), 10_000)
            .send(),
    );
    let waits = async |world: &World| (world.metric("saldo_query_waits_total").await >= 1.0).then_some(());
    world.wait_for("a waiting reader", waits).await;
    world.begin_stop();
    assert_eq!(waiting.await.unwrap().refusal(), (503, "shutting_down".to_owned()));
    world.end_of_query().await.unwrap();
}
