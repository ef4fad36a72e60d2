//! The bucket in which aggregators say which lanes they work on: each instance has one key of its own, which nobody else
//! writes. What stands in it is the aggregators' business.

use std::time::Duration;

use async_nats::{HeaderMap, Message, header};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    api,
    client::Client,
    error::{LogError, NatsError},
    log::stream,
    subjects,
};

/// Version of what stands in the bucket.
const LEASES_VERSION: &str = "1";
/// After this time the server removes what nobody has renewed; instances see much sooner that it is not renewed.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Most bytes of the bucket: each instance has one entry of a few kilobytes.
const MAX_BUCKET_BYTES: i64 = 64 * 1024 * 1024;
/// Most instances of one log: the server answers no more at once.
const MAX_INSTANCES: usize = 1_024;
/// How long one request may take. What is slower than this is as good as no answer: instances go on with what they have.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How the bucket is made.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Copies in a cluster; 1 on one machine.
    pub replicas: usize,
}

/// An entry of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLease {
    /// Who wrote it.
    pub instance: String,
    /// Grows with every write to the bucket: another revision means that the instance has written again.
    pub revision: u64,
    /// What it wrote.
    pub payload: Bytes,
}

/// The leases of one epoch's log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leases {
    client: Client,
    epoch: u8,
}

impl Leases {
    /// Makes the bucket, or checks the one that is there and adapts its copies.
    ///
    /// # Errors
    /// As [`crate::Log::ensure`].
    pub async fn ensure(client: &Client, settings: &LeaseSettings, epoch: u8) -> Result<Self, LogError> {
        let name = subjects::LEASE_STREAM;
        let found = stream::make_or_find(client, name, &bucket_config(settings)).await?;
        check(&found)?;
        let adapted = stream::adapt(client, name, found, MAX_BUCKET_BYTES, settings.replicas).await;
        adapted.map_err(NatsError::from)?;
        Ok(Self { client: client.clone(), epoch })
    }

    /// Checks the bucket that somebody has made, and changes nothing of it.
    ///
    /// # Errors
    /// As [`crate::Log::open`].
    pub async fn open(client: &Client, epoch: u8) -> Result<Self, LogError> {
        let name = subjects::LEASE_STREAM;
        let found = stream::info(client, name).await?.ok_or_else(|| LogError::Missing(name.to_owned()))?;
        check(&found)?;
        Ok(Self { client: client.clone(), epoch })
    }

    /// Writes an instance's entry, in the place of the one before.
    ///
    /// # Errors
    /// When it is not known whether it is there.
    pub async fn put(&self, instance: &str, payload: Vec<u8>) -> Result<(), NatsError> {
        self.write(instance, payload, HeaderMap::new()).await
    }

    /// Takes an instance's entry away: others see at once that it is gone.
    ///
    /// # Errors
    /// When it is not known whether it is gone.
    pub async fn remove(&self, instance: &str) -> Result<(), NatsError> {
        let mut headers = HeaderMap::new();
        headers.insert(KV_OPERATION, "DEL");
        self.write(instance, Vec::new(), headers).await
    }

    async fn write(&self, instance: &str, payload: Vec<u8>, mut headers: HeaderMap) -> Result<(), NatsError> {
        headers.insert(header::NATS_EXPECTED_STREAM, subjects::LEASE_STREAM);
        let subject = subjects::lease_subject(self.epoch, instance);
        let asked = timeout(REQUEST_TIMEOUT, api::ask(&self.client, subject, payload, Some(headers))).await;
        let answer = asked.map_err(|_| NatsError::timeout("the lease bucket did not answer in time"))??;
        api::decode::<Value>(&answer).map(drop).map_err(NatsError::from)
    }

    /// Every entry that is there now, of all instances of this log.
    ///
    /// # Errors
    /// When the server does not answer in time, or not completely.
    pub async fn all(&self) -> Result<Vec<FoundLease>, NatsError> {
        let read = timeout(REQUEST_TIMEOUT, self.read_all()).await;
        read.map_err(|_| NatsError::timeout("the lease bucket did not answer in time"))?
    }

    async fn read_all(&self) -> Result<Vec<FoundLease>, NatsError> {
        if !self.client.is_connected() {
            return Err(NatsError::unavailable("not connected to NATS"));
        }
        let inbox = self.client.inner().new_inbox();
        let mut answers = self.client.inner().subscribe(inbox.clone()).await.map_err(NatsError::unavailable)?;
        let pattern = subjects::lease_subject(self.epoch, "*");
        let request = json!({ "multi_last": [pattern], "batch": MAX_INSTANCES }).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{}", subjects::LEASE_STREAM);
        let sent = self.client.inner().publish_with_reply(subject, inbox, request.into()).await;
        sent.map_err(NatsError::unavailable)?;
        let mut found = Vec::new();
        while found.len() <= MAX_INSTANCES {
            let answer = answers.next().await.ok_or_else(|| NatsError::unavailable("the connection is closed"))?;
            match answer.status.map(|status| status.as_u16()) {
                None => found.extend(self.lease(&answer)),
                Some(END_OF_BATCH | NO_MESSAGES) => return Ok(found),
                Some(_) => return Err(not_readable(&answer)),
            }
        }
        Err(NatsError::refused(format!("more than {MAX_INSTANCES} instances have leases")))
    }

    /// An entry as the server hands it out; `None` for what says that it was taken away.
    fn lease(&self, answer: &Message) -> Option<FoundLease> {
        let headers = answer.headers.as_ref()?;
        if headers.get(KV_OPERATION).is_some() {
            return None;
        }
        let prefix = subjects::lease_subject(self.epoch, "");
        let instance = headers.get(header::NATS_SUBJECT)?.as_str().strip_prefix(&prefix)?.to_owned();
        let revision = headers.get(header::NATS_SEQUENCE)?.as_str().parse().ok()?;
        Some(FoundLease { instance, revision, payload: answer.payload.clone() })
    }
}

/// The header by which a bucket's entry says that it was taken away.
const KV_OPERATION: &str = "KV-Operation";
/// Ends the server's answer to a request for many messages.
const END_OF_BATCH: u16 = 204;
/// The server's answer when nobody has an entry.
const NO_MESSAGES: u16 = 404;

fn not_readable(answer: &Message) -> NatsError {
    let status = answer.status.map(|status| status.to_string()).unwrap_or_default();
    let why = answer.description.as_deref().unwrap_or("no reason given");
    NatsError::unavailable(format!("the lease bucket cannot be read: {why} (status {status})"))
}

/// How the stream behind the bucket is made, as the `nats` command line makes buckets.
fn bucket_config(settings: &LeaseSettings) -> Value {
    let max_age_ns = u64::try_from(MAX_AGE.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "name": subjects::LEASE_STREAM,
        "description": "Saldo: which aggregator works on which lanes",
        "subjects": [subjects::LEASE_PATTERN],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": true,
        "allow_rollup_hdrs": true,
        "allow_direct": true,
        "num_replicas": settings.replicas,
        "max_bytes": MAX_BUCKET_BYTES,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "max_msg_size": -1,
        "max_age": max_age_ns,
        "duplicate_window": max_age_ns,
        "max_consumers": -1,
        "metadata": { stream::META_LEASES: LEASES_VERSION },
    })
}

fn check(found: &stream::StreamInfo) -> Result<(), LogError> {
    let config = &found.config;
    let is_ours = config["metadata"][stream::META_LEASES] == LEASES_VERSION
        && config["max_msgs_per_subject"] == 1
        && config["allow_direct"] == true;
    if is_ours {
        return Ok(());
    }
    Err(LogError::NotOurs(format!(
        "the bucket {} was not made by this program: remove it and run `saldo log apply`; nothing is lost with it",
        subjects::LEASE_BUCKET
    )))
}
