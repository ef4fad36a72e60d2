//! What tests send and read.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::wait_until_async;

use crate::pipeline::{PATIENCE, Pipeline};

pub const DAY: &str = "2026-03-14";

fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// Posts a launch of 1.00 to `store-1`; what is not acknowledged is posted again, as every client should.
pub async fn post(pipeline: &Pipeline, id: &str) -> String {
    post_to(&pipeline.ingest, id).await
}

/// The same to an ingest at this address.
pub async fn post_to(ingest: &str, id: &str) -> String {
    let launch = launch(id);
    let url = format!("{ingest}/v1/launches");
    let http = client();
    let posted = wait_until_async("an acknowledgement", PATIENCE, async || {
        let answer = http.post(&url).header("saldo-tenant", "acme").json(&launch).send().await.ok()?;
        let status = answer.status();
        let body: Value = answer.json().await.ok()?;
        let acknowledged = status == StatusCode::CREATED || status == StatusCode::OK;
        assert!(acknowledged || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {body}");
        acknowledged.then(|| body["position"].as_str().unwrap().to_owned())
    });
    posted.await.unwrap()
}

/// Posts so many launches of 1.00 to `store-1`, with ids from `first` on; the position of the last.
pub async fn post_many(pipeline: &Pipeline, first: u64, count: u64) -> String {
    let line = |number: u64| {
        json!({"id": format!("many-{number}"), "account": "store-1", "date": DAY, "kind": "credit", "amount": "1.00", "currency": "BRL"})
            .to_string()
    };
    let body: String = (first..first + count).map(|number| line(number) + "\n").collect();
    let request = client().post(format!("{}/v1/launches", pipeline.ingest)).header("saldo-tenant", "acme");
    let answer = request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    answer["position"].as_str().unwrap().to_owned()
}

/// Whether the day of `store-1` is answered at this position.
pub async fn is_applied(pipeline: &Pipeline, position: &str) -> bool {
    let url = format!("{}/v1/accounts/store-1/days/{DAY}", pipeline.query);
    let request = client().get(&url).header("saldo-tenant", "acme").header("saldo-min-position", position);
    request.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// How many launches the day of `store-1` counts, at least as new as `position`.
pub async fn count(pipeline: &Pipeline, position: &str) -> u64 {
    count_at(&pipeline.query, position).await
}

/// The same of a query at this address.
pub async fn count_at(query: &str, position: &str) -> u64 {
    let url = format!("{query}/v1/accounts/store-1/days/{DAY}");
    let http = client();
    let read = wait_until_async("an answer that is new enough", PATIENCE, async || {
        let request = http.get(&url).header("saldo-tenant", "acme").header("saldo-min-position", position);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let body: Value = answer.json().await.ok()?;
        assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {body}");
        let day = (status == StatusCode::OK).then_some(body)?;
        assert_eq!(day["currencies"].as_array().unwrap().len(), 1, "{day}");
        let count = day["currencies"][0]["credit_count"].as_u64().unwrap();
        assert_eq!(day["currencies"][0]["closing"], format!("{count}.00"), "{day}");
        Some(count)
    });
    read.await.unwrap()
}

/// What the day of `store-1` is answered with, at least as new as `position`.
pub async fn day(pipeline: &Pipeline, position: &str) -> Value {
    ask(&pipeline.query, position).await.json().await.unwrap()
}

/// How asking for it ends.
pub async fn status(pipeline: &Pipeline, position: &str) -> StatusCode {
    status_at(&pipeline.query, position).await
}

/// The same of a query at this address.
pub async fn status_at(query: &str, position: &str) -> StatusCode {
    ask(query, position).await.status()
}

/// The tag of an answer at least as new as `position`.
pub async fn etag(pipeline: &Pipeline, position: &str) -> String {
    count(pipeline, position).await;
    ask(&pipeline.query, position).await.headers()["etag"].to_str().unwrap().to_owned()
}

/// How asking for the day ends for one who has the answer of this tag.
pub async fn conditional(pipeline: &Pipeline, etag: &str) -> StatusCode {
    let url = format!("{}/v1/accounts/store-1/days/{DAY}", pipeline.query);
    let request = client().get(url).header("saldo-tenant", "acme").header("if-none-match", etag);
    request.send().await.unwrap().status()
}

/// Posts a launch once, and how that ends.
pub async fn try_post(pipeline: &Pipeline, id: &str) -> StatusCode {
    let request = client().post(format!("{}/v1/launches", pipeline.ingest)).header("saldo-tenant", "acme");
    request.json(&launch(id)).send().await.unwrap().status()
}

fn launch(id: &str) -> Value {
    json!({"id": id, "account": "store-1", "date": DAY, "kind": "credit", "amount": "1.00", "currency": "BRL"})
}

async fn ask(query: &str, position: &str) -> reqwest::Response {
    let url = format!("{query}/v1/accounts/store-1/days/{DAY}");
    let request = client().get(url).header("saldo-tenant", "acme").header("saldo-min-position", position);
    request.send().await.unwrap()
}

/// The text behind an address.
pub async fn text(url: &str) -> String {
    client().get(url).send().await.unwrap().text().await.unwrap()
}
