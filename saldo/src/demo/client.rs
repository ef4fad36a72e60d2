//! The pipeline as a client sees it: what can heal is tried again, the rest is told.

use std::{
    io::{Write, stderr},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, Response, StatusCode};
use retry::Backoff;
use serde::{Deserialize, de::DeserializeOwned};

use crate::cli::DemoArguments;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an outage may last.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses between attempts.
const FIRST_PAUSE_MS: u64 = 200;
const LONGEST_PAUSE_MS: u64 = 5_000;
/// How long query may wait for what was posted to be applied: the longest that it allows.
const WAIT_MS: &str = "10000";
/// How much of a refusal is shown.
const SHOWN_CHARACTERS: usize = 400;

/// Connections to both services.
pub struct Client {
    http: reqwest::Client,
    ingest: String,
    query: String,
    tenant: String,
}

/// What ingest answers to a bulk.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Counts {
    /// Launches that were new to ingest.
    pub accepted: u64,
    /// Launches that it knew.
    pub duplicates: u64,
    /// Lines that it refused.
    pub rejected: u64,
    /// Where the log stands with all of it.
    pub position: Option<String>,
    /// The first refused lines.
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl Counts {
    /// Adds a later answer. A refused line is an error: the demo makes none that may be refused.
    pub fn add(&mut self, later: Counts) -> anyhow::Result<()> {
        if let Some(error) = later.errors.first() {
            bail!("ingest refused {} lines, the first with {error}", later.rejected);
        }
        self.accepted += later.accepted;
        self.duplicates += later.duplicates;
        self.position = later.position.or(self.position.take());
        Ok(())
    }
}

impl Client {
    /// A client for the two addresses.
    pub fn new(arguments: &DemoArguments) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build();
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        Ok(Self {
            http: http.context("cannot make an HTTP client")?,
            ingest: base(&arguments.ingest_url),
            query: base(&arguments.query_url),
            tenant: arguments.tenant.clone(),
        })
    }

    /// Posts NDJSON. Posting a body again is safe, so that every failure that can heal is answered by that.
    pub async fn post(&self, body: String) -> anyhow::Result<Counts> {
        let url = format!("{}/v1/launches", self.ingest);
        let request = || self.http.post(&url).header("content-type", "application/x-ndjson").body(body.clone());
        self.answer(&url, request).await
    }

    /// Reads what is at least as new as `position`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, position: Option<&str>) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.query);
        let request = || {
            let request = self.http.get(&url).header("saldo-wait-ms", WAIT_MS);
            position.into_iter().fold(request, |request, position| request.header("saldo-min-position", position))
        };
        self.answer(&url, request).await
    }

    async fn answer<T: DeserializeOwned>(&self, url: &str, request: impl Fn() -> RequestBuilder) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = Backoff::new(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        let mut told = String::new();
        loop {
            let problem = match request().header("saldo-tenant", &self.tenant).send().await {
                Ok(response) if response.status().is_success() => return read(url, response).await,
                Ok(response) if !heals(response.status()) => bail!("{url} answered {}", said(response).await),
                Ok(response) => format!("{url} answers {}", said(response).await),
                Err(error) if error.is_builder() => bail!("{url} is no address: {error}"),
                Err(_) => format!("{url} cannot be reached; is `saldo up` running?"),
            };
            if Instant::now() > deadline {
                bail!(problem);
            }
            tell_once(&mut told, &problem);
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }
}

/// A person sees why nothing happens, once for each reason: request ids differ, the status does not.
fn tell_once(told: &mut String, problem: &str) {
    let reason = problem.split('{').next().unwrap_or_default();
    if told != reason {
        reason.clone_into(told);
        let _nobody_reads = writeln!(stderr(), "{problem}; trying again for {} seconds", PATIENCE.as_secs());
    }
}

fn heals(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

async fn said(response: Response) -> String {
    let status = response.status();
    let text: String = response.text().await.unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect();
    format!("{status}: {text}")
}

async fn read<T: DeserializeOwned>(url: &str, response: Response) -> anyhow::Result<T> {
    response.json().await.with_context(|| format!("{url} answered something else than was expected"))
}
