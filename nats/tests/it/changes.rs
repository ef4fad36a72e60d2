use nats::{Changes, NatsErrorKind, NoticeEvent};
use protocol::{
    log::Incarnation,
    notice::{Changed, Notice},
};
use testkit::{NatsServer, wait_until_async};

use crate::{PATIENCE, connect, foreign_client};

fn notice(partition: u16, to: u64) -> Notice {
    Notice {
        log_is_whole: None,
        generation: 1,
        epoch: 1,
        incarnation: Some(Incarnation::of("s")),
        partition,
        worker: Some(u64::MAX),
        from: to - 1,
        to,
        time_ms: 1,
        end: to,
        replaying: false,
        changed: Changed::All,
        stopped: Vec::new(),
    }
}

async fn next(notices: &mut nats::Notices) -> NoticeEvent {
    tokio::time::timeout(PATIENCE, notices.next()).await.expect("something is to be heard").expect("the client is open")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_a_worker_without_a_number_is_heard() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    let mut notices = Changes::new(client.clone(), 1).subscribe().await.unwrap();
    let unnumbered = Notice { worker: None, ..notice(3, 7) };
    let json = serde_json::to_string(&unnumbered).unwrap();
    assert!(!json.contains("worker"), "as workers wrote it that had no number: {json}");
    Changes::new(client, 1).publish(&unnumbered).await.unwrap();
    assert_eq!(next(&mut notices).await, NoticeEvent::Notice(unnumbered));
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_all_lanes_of_the_epoch_arrive_in_order() {
    let server = NatsServer::start().unwrap();
    let (hearing, telling) = (connect(&server).await, connect(&server).await);
    let mut notices = Changes::new(hearing, 1).subscribe().await.unwrap();
    let changes = Changes::new(telling.clone(), 1);
    Changes::new(telling, 2).publish(&notice(0, 99)).await.unwrap();
    for to in 1..100 {
        changes.publish(&notice(3, to)).await.unwrap();
    }
    for to in 1..100 {
        assert_eq!(next(&mut notices).await, NoticeEvent::Notice(notice(3, to)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_is_a_loss_and_then_the_subscription_stands() {
    let mut server = NatsServer::start().unwrap();
    let mut notices = Changes::new(connect(&server).await, 1).subscribe().await.unwrap();
    server.restart().unwrap();
    assert_eq!(next(&mut notices).await, NoticeEvent::Lost);
    // Whoever publishes after the loss was told is heard.
    let telling = connect(&server).await;
    Changes::new(telling.clone(), 1).publish(&notice(0, 5)).await.unwrap();
    assert_eq!(next(&mut notices).await, NoticeEvent::Notice(notice(0, 5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_too_slow_is_told() {
    let server = NatsServer::start().unwrap();
    let (hearing, telling) = (connect(&server).await, connect(&server).await);
    let mut notices = Changes::new(hearing.clone(), 1).subscribe().await.unwrap();
    let changes = Changes::new(telling.clone(), 1);
    for _ in 0..100_000 {
        changes.publish(&notice(0, 1)).await.unwrap();
    }
    // Everything is with the listener's client before the listener begins to listen.
    for client in [&telling, &hearing] {
        wait_until_async("a round trip", PATIENCE, || async { client.flush().await.ok() }).await.unwrap();
    }
    let mut heard = 0_u32;
    while next(&mut notices).await != NoticeEvent::Lost {
        heard += 1;
    }
    assert!(heard < 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_loss_and_what_is_too_long_is_not_sent() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    let changes = Changes::new(client, 1);
    let mut notices = changes.subscribe().await.unwrap();
    let telling = foreign_client(&server).await;
    telling.publish("saldo.changes.1.0", "nonsense".into()).await.unwrap();
    assert_eq!(next(&mut notices).await, NoticeEvent::Lost);
    let accounts = (0..3_000).map(|number| protocol::notice::ChangedAccount {
        tenant: ledger::Tenant::parse("acme").unwrap(),
        account: ledger::Account::parse(&format!("store-{number}")).unwrap(),
        date: ledger::BusinessDate::MAX,
    });
    let long = Notice { changed: Changed::Accounts(accounts.collect()), ..notice(0, 1) };
    assert_eq!(changes.publish(&long).await.unwrap_err().kind, NatsErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_epoch_hears_the_notices_of_every_one() {
    let server = NatsServer::start().unwrap();
    let client = connect(&server).await;
    let mut notices = nats::Notices::of_every_epoch(&client).await.unwrap();
    for epoch in [1, 200] {
        let notice = Notice { epoch, ..notice(3, 7) };
        Changes::new(client.clone(), epoch).publish(&notice).await.unwrap();
        assert_eq!(next(&mut notices).await, NoticeEvent::Notice(notice));
    }
}
