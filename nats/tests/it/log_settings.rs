//! Settings of the stream that somebody changes while the log is in use.

use bytes::Bytes;
use nats::{Log, LogError};
use serde_json::{Value, json};
use testkit::NatsServer;

use crate::{connect, foreign_client, new_log, settings};

/// What JetStream answers to a request of its API.
pub(crate) async fn api(client: &async_nats::Client, verb: &str, body: &Value) -> Value {
    let answer = client.request(format!("$JS.API.{verb}"), Bytes::from(body.to_string())).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

pub(crate) async fn config(client: &async_nats::Client) -> Value {
    api(client, "STREAM.INFO.LAUNCHES", &json!({})).await["config"].take()
}

/// Changes a setting; false when the server does not let anybody do that.
async fn update(client: &async_nats::Client, changes: &[(&str, Value)]) -> bool {
    let mut wanted = config(client).await;
    for (key, value) in changes {
        wanted[*key] = value.clone();
    }
    api(client, "STREAM.UPDATE.LAUNCHES", &wanted).await["error"].is_null()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_spoils_the_log_is_noticed_and_may_be_taken_back() {
    let server = NatsServer::start().unwrap();
    let log = new_log(&server, 2).await;
    let client = foreign_client(&server).await;
    let spoilt = [
        ("discard", json!("old"), json!("new")),
        ("max_age", json!(3_600_000_000_000_u64), json!(0)),
        ("max_msgs", json!(5), json!(-1)),
        ("max_msgs_per_subject", json!(2), json!(-1)),
        ("max_msg_size", json!(1_024), json!(-1)),
        ("no_ack", json!(true), json!(false)),
        ("duplicate_window", json!(1_000_000_000_u64), json!(120_000_000_000_u64)),
        ("sources", json!([{ "name": "OTHER" }]), json!([])),
    ];
    for (key, value, restored) in spoilt {
        assert!(update(&client, &[(key, value.clone())]).await, "{key}={value} is refused by the server");
        let error = log.verify().await.unwrap_err();
        assert!(matches!(&error, LogError::NotOurs(text) if text.contains(key)), "{key}: {error}");
        assert!(Log::ensure(&connect(&server).await, &settings(2)).await.is_err(), "{key}");
        assert!(update(&client, &[(key, restored)]).await, "{key}");
        log.verify().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_taken_back_is_noticed() {
    let by_update: [&[(&str, Value)]; 4] = [
        &[("allow_rollup_hdrs", json!(true)), ("deny_purge", json!(false))],
        &[("allow_msg_ttl", json!(true))],
        &[("allow_msg_schedules", json!(true))],
        &[("sealed", json!(true))],
    ];
    for changes in by_update {
        let server = NatsServer::start().unwrap();
        let log = new_log(&server, 2).await;
        let is_taken = update(&foreign_client(&server).await, changes).await;
        assert_eq!(log.verify().await.is_err(), is_taken, "{changes:?}");
    }
    for (key, value) in [("persist_mode", json!("async")), ("first_seq", json!(1_000))] {
        let server = NatsServer::start().unwrap();
        new_log(&server, 2).await;
        let client = foreign_client(&server).await;
        let mut made = config(&client).await;
        made[key] = value;
        api(&client, "STREAM.DELETE.LAUNCHES", &json!({})).await;
        assert!(api(&client, "STREAM.CREATE.LAUNCHES", &made).await["error"].is_null(), "{key}");
        let error = Log::open(&connect(&server).await, 1).await.unwrap_err();
        assert!(matches!(&error, LogError::NotOurs(text) if text.contains(key)), "{key}: {error}");
    }
}
