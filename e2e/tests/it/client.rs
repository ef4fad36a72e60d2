//! A caller: posts launches and reads days over real sockets.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    model::{Launch, Model},
    pipeline::Pipeline,
};

pub const TENANT: &str = "acme";

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A caller of one tenant.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    ingest: String,
    query: String,
}

/// An answer with what tests look at.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    pub fn new(pipeline: &Pipeline) -> anyhow::Result<Self> {
        Self::of(&pipeline.ingest, &pipeline.query)
    }

    /// A caller of services that run alone.
    pub fn of(ingest: &str, query: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self { http, ingest: ingest.to_owned(), query: query.to_owned() })
    }

    /// Posts one launch as an object.
    pub async fn post(&self, launch: &Launch) -> anyhow::Result<Answer> {
        self.post_body("application/json", launch.json().to_string()).await
    }

    /// Posts launches as an NDJSON bulk.
    pub async fn post_ndjson(&self, launches: &[Launch]) -> anyhow::Result<Answer> {
        let body: String = launches.iter().map(|launch| format!("{}\n", launch.json())).collect();
        self.post_body("application/x-ndjson", body).await
    }

    /// Posts launches as an array.
    pub async fn post_array(&self, launches: &[Launch]) -> anyhow::Result<Answer> {
        let body = Value::Array(launches.iter().map(Launch::json).collect());
        self.post_body("application/json", body.to_string()).await
    }

    pub async fn post_body(&self, content_type: &str, body: String) -> anyhow::Result<Answer> {
        let request = self
            .http
            .post(format!("{}/v1/launches", self.ingest))
            .header("Saldo-Tenant", TENANT)
            .header("Content-Type", content_type)
            .body(body);
        answer(request).await
    }

    /// Reads a path of the query service, at least as fresh as `position`.
    pub async fn get(&self, path: &str, position: Option<&str>) -> anyhow::Result<Answer> {
        let mut request = self.http.get(format!("{}{path}", self.query)).header("Saldo-Tenant", TENANT);
        if let Some(position) = position {
            request = request.header("Saldo-Min-Position", position).header("Saldo-Wait-Ms", "10000");
        }
        answer(request).await
    }

    /// Reads a path unless it still is what `etag` names.
    pub async fn get_if_changed(&self, path: &str, etag: &str) -> anyhow::Result<Answer> {
        let request = self.http.get(format!("{}{path}", self.query)).header("Saldo-Tenant", TENANT);
        answer(request.header("If-None-Match", etag)).await
    }

    /// Compares every day, list and balance of every account with the model.
    pub async fn check(&self, model: &Model, position: Option<&str>) -> anyhow::Result<()> {
        for account in model.accounts() {
            self.check_account(model, account, position).await.with_context(|| format!("account {account}"))?;
        }
        Ok(())
    }

    async fn check_account(&self, model: &Model, account: &str, position: Option<&str>) -> anyhow::Result<()> {
        let balance = self.get(&format!("/v1/accounts/{account}/balance"), position).await?;
        ensure!(balance.status == 200, "balance answered {balance:?}");
        ensure!(balance.body["currencies"] == model.balance(account), "balance is {}", balance.body);
        for date in model.dates_of(account) {
            let day = self.get(&format!("/v1/accounts/{account}/days/{date}"), None).await?;
            let expected = model.day(account, &date);
            ensure!(day.body["currencies"] == expected, "{date} is {}, expected {expected}", day.body);
        }
        Ok(())
    }

    /// The ids that `launches?date=` lists, over all pages.
    pub async fn listed_ids(&self, account: &str, date: &str, limit: usize) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/accounts/{account}/launches?date={date}&limit={limit}{cursor}");
            let page = self.get(&path, None).await?;
            ensure!(page.status == 200, "launches answered {page:?}");
            let items = page.body["items"].as_array().context("a list has items")?;
            ids.extend(items.iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()));
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(ids),
            }
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await?;
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
    Ok(Answer { status, headers, body })
}
