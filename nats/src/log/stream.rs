//! The streams as JetStream keeps them: how they are made, how they are recognised.

use std::collections::BTreeSet;

use protocol::{log::LogIdentity, missing::AcceptedLoss};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{self, ApiFailure, code},
    client::Client,
    error::{LogError, NatsError},
    log::{
        LogSettings, checks,
        metadata::{self, META_ACCEPTED_LOSS},
    },
    parked::ParkedSettings,
    subjects,
};

pub(crate) const META_PARKED: &str = "saldo.parked";
pub(crate) const META_LEASES: &str = "saldo.leases";

/// What JetStream tells of a stream. The configuration stays JSON: what this program does not know must survive an update.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Value,
    pub(crate) state: StreamState,
}

/// How much a stream holds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Sequences between the first and the last that have no message, as far as the server knows.
    #[serde(default)]
    pub(crate) num_deleted: u64,
}

/// The stream's information; `None` when there is no such stream.
pub(crate) async fn info(client: &Client, stream: &str) -> Result<Option<StreamInfo>, NatsError> {
    let answer = api::request(client, &format!("STREAM.INFO.{stream}"), &json!({})).await;
    match answer {
        Ok(info) => Ok(Some(info)),
        Err(failure) if failure.number() == Some(code::STREAM_NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Makes the stream unless it is there, and returns what is there now: of several who do this at once one makes it, the
/// others find it.
pub(crate) async fn make_or_find(client: &Client, stream: &str, config: &Value) -> Result<StreamInfo, LogError> {
    if let Some(found) = info(client, stream).await? {
        return Ok(found);
    }
    let made = api::request(client, &format!("STREAM.CREATE.{stream}"), config).await;
    match made {
        Ok(info) => Ok(info),
        Err(failure) if failure.number() == Some(code::STREAM_NAME_IN_USE) => {
            info(client, stream).await?.ok_or_else(|| LogError::Missing(stream.to_owned()))
        }
        Err(failure) if failure.number() == Some(code::SUBJECTS_OVERLAP) => Err(LogError::NotOurs(format!(
            "another stream takes subjects of {stream}: let it take others, or give Saldo a NATS, or an account of it, of its own ({})",
            NatsError::from(failure)
        ))),
        Err(failure) => Err(NatsError::from(failure).into()),
    }
}

/// Brings limits and replicas of an existing stream to what is wanted; nothing is sent when they are already so.
pub(crate) async fn adapt(
    client: &Client,
    stream: &str,
    found: StreamInfo,
    max_bytes: i64,
    replicas: usize,
) -> Result<StreamInfo, ApiFailure> {
    let mut wanted = found.config.clone();
    wanted["max_bytes"] = json!(max_bytes);
    wanted["num_replicas"] = json!(replicas);
    if wanted == found.config {
        return Ok(found);
    }
    api::request(client, &format!("STREAM.UPDATE.{stream}"), &wanted).await
}

/// Copies that a stream is kept in.
pub(crate) fn replicas_of(config: &Value) -> usize {
    config["num_replicas"].as_u64().and_then(|replicas| usize::try_from(replicas).ok()).unwrap_or(1)
}

/// How the log's stream is made.
pub(crate) fn log_config(settings: &LogSettings, stream_id: &str) -> Value {
    let mut config = kept_for_ever(&subjects::stream_name(settings.epoch), settings.replicas, settings.max_bytes);
    config["description"] = json!(metadata::DESCRIPTION);
    // Both what comes in and what is stored must be the stream's own subjects.
    config["subjects"] = json!(subjects::log_subjects(settings.partitions));
    config["subject_transform"] =
        json!({ "src": subjects::INBOUND_PATTERN, "dest": subjects::lane_transform(settings.partitions) });
    config["duplicate_window"] = json!(checks::DUPLICATE_WINDOW_NS);
    let LogSettings { partitions, epoch, .. } = *settings;
    config["metadata"] = metadata::of(&LogIdentity { epoch, stream_id: stream_id.into(), partitions });
    config
}

/// How the parked stream is made: one message a subject, and never another.
pub(crate) fn parked_config(settings: &ParkedSettings) -> Value {
    let mut config = kept_for_ever(subjects::PARKED_STREAM, settings.replicas, settings.max_bytes);
    config["description"] = json!("Saldo: log entries that cannot be applied, with their reasons");
    config["subjects"] = json!([subjects::PARKED_PATTERN]);
    config["max_msgs_per_subject"] = json!(1);
    config["discard_new_per_subject"] = json!(true);
    config["metadata"] = json!({ META_PARKED: metadata::WIRE_VERSION });
    config
}

/// What both have in common: on disk, refused when full, never deleted.
fn kept_for_ever(name: &str, replicas: usize, max_bytes: i64) -> Value {
    json!({
        "name": name,
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": true,
        "deny_purge": true,
        "allow_direct": true,
        "num_replicas": replicas,
        "max_bytes": max_bytes,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "max_consumers": -1,
    })
}

/// Reads the identity from a stream's metadata and checks everything that the promises rest on.
pub(crate) fn identity_of(stream: &str, info: &StreamInfo) -> Result<LogIdentity, LogError> {
    let identity = identity_of_damaged(stream, info)?;
    let accepted = accepted_loss(&info.config)?;
    checks::accepted_loss(stream, &info.state, &accepted)?;
    checks::first_message(stream, &info.state, &accepted)?;
    Ok(identity)
}

/// The same of a log of which messages may be gone, accepted or not.
pub(crate) fn identity_of_damaged(stream: &str, info: &StreamInfo) -> Result<LogIdentity, LogError> {
    let identity = metadata::identity(stream, &info.config)?;
    check_log_config(stream, &info.config, identity.partitions)?;
    Ok(identity)
}

/// The sequences that an operator has accepted as lost.
pub(crate) fn accepted_loss(config: &Value) -> Result<AcceptedLoss, LogError> {
    let text = config["metadata"][META_ACCEPTED_LOSS].as_str().unwrap_or_default();
    text.parse().map_err(|error| {
        LogError::NotOurs(format!(
            "{META_ACCEPTED_LOSS} in the stream's metadata: {error}; saldo log accept-loss puts it right"
        ))
    })
}

fn check_log_config(stream: &str, config: &Value, partitions: u16) -> Result<(), LogError> {
    checks::log_settings(stream, config)?;
    let wanted = subjects::log_subjects(partitions);
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let found: BTreeSet<&str> = config["subjects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let transform = &config["subject_transform"];
    let transforms = transform["src"] == subjects::INBOUND_PATTERN
        && transform["dest"] == subjects::lane_transform(partitions).as_str();
    if found == wanted && transforms {
        return Ok(());
    }
    Err(LogError::NotOurs(format!(
        "the stream {stream} has other subjects or another transform than it was made with: restore them (subjects: {} to \
         {} and {})",
        subjects::lane_subject(0),
        subjects::lane_subject(partitions.saturating_sub(1)),
        subjects::INBOUND_PATTERN
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::metadata::{META_EPOCH, META_PARTITIONS, META_STREAM, META_WIRE};

    fn made() -> StreamInfo {
        let settings = LogSettings { partitions: 4, replicas: 1, max_bytes: -1, epoch: 2 };
        let state = StreamState { messages: 0, bytes: 0, first_seq: 0, last_seq: 0, num_deleted: 0 };
        StreamInfo { config: log_config(&settings, "abc"), state }
    }

    #[test]
    fn what_is_made_is_recognised() {
        let identity = identity_of("LAUNCHES_2", &made()).unwrap();
        assert_eq!(identity, LogIdentity { epoch: 2, stream_id: "abc".into(), partitions: 4 });
    }

    #[test]
    fn settings_subjects_and_the_first_message_are_checked() {
        for (key, value) in [("max_msgs_per_subject", json!(2)), ("subjects", json!(["launches.>"]))] {
            let mut info = made();
            info.config[key] = value;
            assert!(matches!(identity_of("LAUNCHES_2", &info), Err(LogError::NotOurs(_))), "{key}");
        }
        let mut info = made();
        info.config["metadata"][META_ACCEPTED_LOSS] = json!("1");
        assert!(matches!(identity_of("LAUNCHES_2", &info), Err(LogError::NotOurs(_))), "beyond the end");
        assert!(identity_of_damaged("LAUNCHES_2", &info).is_ok());
        let mut info = made();
        info.state.first_seq = 2;
        assert!(matches!(identity_of("LAUNCHES_2", &info), Err(LogError::NotOurs(_))));
    }

    #[test]
    fn the_subjects_are_the_lanes_that_are_read_and_no_others() {
        let made_subjects = subjects::log_subjects(4);
        assert_eq!(made().config["subjects"], json!(made_subjects));
        let reordered: Vec<_> = made_subjects.iter().rev().collect();
        let one_missing = &made_subjects[1..];
        let one_more = [&made_subjects[..], &["launches.4".to_owned()]].concat();
        let wildcard = ["launches.*", subjects::INBOUND_PATTERN];
        for (value, is_ours) in
            [(json!(reordered), true), (json!(one_missing), false), (json!(one_more), false), (json!(wildcard), false)]
        {
            let mut info = made();
            info.config["subjects"] = value.clone();
            assert_eq!(identity_of("LAUNCHES_2", &info).is_ok(), is_ours, "{value}");
        }
    }

    #[test]
    fn metadata_that_is_missing_or_nonsense_is_refused() {
        for (key, value) in [(META_STREAM, ""), (META_EPOCH, "0"), (META_EPOCH, "201"), (META_PARTITIONS, "none")] {
            let mut info = made();
            info.config["metadata"][key] = json!(value);
            assert!(matches!(identity_of("LAUNCHES_2", &info), Err(LogError::NotOurs(_))), "{key}={value}");
        }
        let mut info = made();
        info.config["metadata"][META_WIRE] = json!("9");
        assert_eq!(identity_of("LAUNCHES_2", &info), Err(LogError::OtherWireVersion { found: "9".into() }));
    }
}
