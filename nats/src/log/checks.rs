//! What a stream's settings must be so that it keeps every message as it came, in the order in which it came.
//!
//! Each setting of nats-server's `StreamConfig` is either checked here or in the caller (subjects, transform, messages a subject),
//! or it cannot harm: `description`, `metadata`, `placement`, `num_replicas`, `max_bytes`, `compression`, `republish` (a copy of
//! what is stored already), `allow_direct`, `mirror_direct`, `max_consumers`, `consumer_limits` (a reader that is refused says so),
//! `allow_atomic`, `allow_batched` (only for publishers that ask for them). A setting that a later server adds makes
//! that server note a higher API level in the stream's metadata once it is used: a level that is unknown here is refused.

use std::fmt;

use protocol::missing::AcceptedLoss;
use serde_json::Value;

use crate::{error::LogError, log::stream::StreamState};

/// Inside this time JetStream recognises a repeated message by its id; ingest relies on it for what it sends again.
pub(crate) const DUPLICATE_WINDOW_NS: u64 = 120_000_000_000;
/// Where the server notes which level of its API the stream's settings need.
const REQUIRED_LEVEL: &str = "_nats.req.level";
/// The level of nats-server 2.15, whose settings are all known here.
const KNOWN_LEVEL: u64 = 5;

/// A setting with the value that it must have.
struct Check {
    key: &'static str,
    /// What the stream does if it has another value.
    otherwise: &'static str,
    wanted: Wanted,
}

enum Wanted {
    Text(&'static str),
    /// Always written out by the server.
    On,
    /// `false`, zero, empty or absent.
    Off,
    /// Not above zero: -1 is without limit, and so is 0 in some versions.
    NoLimit,
    AtLeast(u64),
    AtMostOne,
    One,
    /// `default`, or absent.
    DefaultMode,
}

const CHECKS: [Check; 19] = [
    check("storage", "is not stored in files", Wanted::Text("file")),
    check("retention", "does not keep everything", Wanted::Text("limits")),
    check("discard", "drops old messages when it is full", Wanted::Text("new")),
    check("deny_delete", "allows deletion of messages", Wanted::On),
    check("deny_purge", "allows purging", Wanted::On),
    check("sealed", "is sealed: it takes no messages", Wanted::Off),
    check("max_age", "drops messages by age", Wanted::Off),
    check("max_msgs", "has a limit of messages", Wanted::NoLimit),
    check("max_msg_size", "has a limit of a message's size", Wanted::NoLimit),
    check("no_ack", "acknowledges nothing", Wanted::Off),
    check("persist_mode", "acknowledges before a message is on disk", Wanted::DefaultMode),
    check("mirror", "is a mirror of another stream", Wanted::Off),
    check("sources", "takes messages from other streams", Wanted::Off),
    check("first_seq", "does not begin with sequence 1", Wanted::AtMostOne),
    check("allow_rollup_hdrs", "lets a message replace all before it", Wanted::Off),
    check("allow_msg_ttl", "lets a message expire", Wanted::Off),
    check("subject_delete_marker_ttl", "writes markers of deleted messages", Wanted::Off),
    check("allow_msg_counter", "rewrites messages as counters", Wanted::Off),
    check("allow_msg_schedules", "lets a message be delivered later, and replaced", Wanted::Off),
];

/// Besides [`CHECKS`]: the log takes any number of messages of a subject, each of its publishers' messages once.
const LOG_CHECKS: [Check; 3] = [
    check("duplicate_window", "forgets the ids of messages too soon", Wanted::AtLeast(DUPLICATE_WINDOW_NS)),
    check("max_msgs_per_subject", "keeps only some messages of a subject", Wanted::NoLimit),
    check("discard_new_per_subject", "refuses messages by their subject", Wanted::Off),
];

/// Besides [`CHECKS`]: the parked stream takes each message once.
const PARKED_CHECKS: [Check; 2] = [
    check("max_msgs_per_subject", "does not keep one message a subject", Wanted::One),
    check("discard_new_per_subject", "replaces what it has of a subject", Wanted::On),
];

const fn check(key: &'static str, otherwise: &'static str, wanted: Wanted) -> Check {
    Check { key, otherwise, wanted }
}

/// Checks every setting that could make the log drop, rewrite, reorder or refuse a message.
pub(crate) fn log_settings(stream: &str, config: &Value) -> Result<(), LogError> {
    all(stream, config, &LOG_CHECKS)
}

/// As [`log_settings`], for the stream of parked messages.
pub(crate) fn parked_settings(stream: &str, config: &Value) -> Result<(), LogError> {
    all(stream, config, &PARKED_CHECKS)
}

/// Nothing may be deleted of the log, so that a first sequence above 1 means that its beginning is gone.
pub(crate) fn first_message(stream: &str, state: &StreamState, accepted: &AcceptedLoss) -> Result<(), LogError> {
    if state.first_seq <= 1 || accepted.covers(1..=state.first_seq - 1) {
        return Ok(());
    }
    Err(LogError::NotOurs(format!(
        "the stream {stream} begins with sequence {}: all messages before it are gone, though nothing may be deleted; \
         restore a backup, or accept the loss with: saldo log accept-loss",
        state.first_seq
    )))
}

/// A loss can only be accepted of what was there: what comes to stand at these sequences could be lost unseen.
pub(crate) fn accepted_loss(stream: &str, state: &StreamState, accepted: &AcceptedLoss) -> Result<(), LogError> {
    match accepted.last() {
        Some(last) if last > state.last_seq => Err(LogError::NotOurs(format!(
            "the stream {stream} ends with sequence {}, and the loss of {last} is accepted in its metadata (saldo.accepted_loss): \
             record what is missing with: saldo log accept-loss",
            state.last_seq
        ))),
        _ => Ok(()),
    }
}

fn all(stream: &str, config: &Value, further: &[Check]) -> Result<(), LogError> {
    let failed = CHECKS.iter().chain(further).find(|check| !check.wanted.holds(&config[check.key]));
    if let Some(Check { key, otherwise, wanted }) = failed {
        return Err(LogError::NotOurs(format!(
            "the stream {stream} {otherwise} ({key} is {}, and must be {wanted}): it was changed, or not made by this program; \
             set it back; docs/operations.md says what to do where the server refuses that",
            config[*key]
        )));
    }
    let level = config["metadata"][REQUIRED_LEVEL].as_str().and_then(|level| level.parse().ok()).unwrap_or(0);
    if level <= KNOWN_LEVEL {
        return Ok(());
    }
    Err(LogError::NotOurs(format!(
        "the stream {stream} uses settings of a nats-server that this program does not know (API level {level}, known are \
         {KNOWN_LEVEL}): take them back, or use a later version of this program"
    )))
}

impl Wanted {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value == text,
            Self::On => value == true,
            Self::Off => is_off(value),
            Self::NoLimit => value.is_null() || value.as_i64().is_some_and(|limit| limit <= 0),
            Self::AtLeast(least) => value.as_u64().is_some_and(|number| number >= *least),
            Self::AtMostOne => value.is_null() || value.as_u64().is_some_and(|number| number <= 1),
            Self::One => value == 1,
            Self::DefaultMode => is_off(value) || value == "default",
        }
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::On => formatter.write_str("true"),
            Self::Off => formatter.write_str("off"),
            Self::NoLimit => formatter.write_str("-1"),
            Self::AtLeast(least) => write!(formatter, "at least {least}"),
            Self::AtMostOne | Self::One => formatter.write_str("1"),
            Self::DefaultMode => formatter.write_str("default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        log::{LogSettings, stream},
        parked::ParkedSettings,
    };

    fn log_config() -> Value {
        stream::log_config(&LogSettings { partitions: 4, replicas: 1, max_bytes: -1, epoch: 2 }, "abc")
    }

    /// Every setting of nats-server 2.15 with a value that spoils the log.
    fn spoilt() -> Vec<(&'static str, Value)> {
        vec![
            ("storage", json!("memory")),
            ("retention", json!("workqueue")),
            ("retention", json!("interest")),
            ("discard", json!("old")),
            ("deny_delete", json!(false)),
            ("deny_purge", json!(false)),
            ("sealed", json!(true)),
            ("max_age", json!(1_000_000_000_u64)),
            ("max_msgs", json!(10)),
            ("max_msg_size", json!(1_024)),
            ("no_ack", json!(true)),
            ("duplicate_window", json!(100_000_000_u64)),
            ("duplicate_window", Value::Null),
            ("persist_mode", json!("async")),
            ("mirror", json!({ "name": "OTHER" })),
            ("sources", json!([{ "name": "OTHER" }])),
            ("first_seq", json!(1_000)),
            ("allow_rollup_hdrs", json!(true)),
            ("allow_msg_ttl", json!(true)),
            ("subject_delete_marker_ttl", json!(1_000_000_000_u64)),
            ("allow_msg_counter", json!(true)),
            ("allow_msg_schedules", json!(true)),
            ("max_msgs_per_subject", json!(2)),
            ("discard_new_per_subject", json!(true)),
        ]
    }

    #[test]
    fn each_setting_that_spoils_the_log_is_found_and_named() {
        log_settings("LAUNCHES", &log_config()).unwrap();
        for (key, value) in spoilt() {
            let mut config = log_config();
            config[key] = value.clone();
            let error = log_settings("LAUNCHES", &config).unwrap_err();
            assert!(!error.retry_helps() && error.to_string().contains(key), "{key}={value}: {error}");
        }
    }

    #[test]
    fn the_parked_stream_is_checked_alike_but_for_its_messages_a_subject() {
        let made = stream::parked_config(&ParkedSettings { replicas: 1, max_bytes: -1 });
        parked_settings("LAUNCHES_PARKED", &made).unwrap();
        let other = [("max_msgs_per_subject", json!(-1)), ("discard_new_per_subject", json!(false))];
        let same = spoilt().into_iter().filter(|(key, _)| !key.ends_with("per_subject") && *key != "duplicate_window");
        for (key, value) in same.chain(other) {
            let mut config = made.clone();
            config[key] = value.clone();
            assert!(parked_settings("LAUNCHES_PARKED", &config).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn what_cannot_harm_is_left_to_the_operator() {
        let harmless = [
            ("compression", json!("s2")),
            ("republish", json!({ "src": ">", "dest": "copy.>" })),
            ("allow_direct", json!(false)),
            ("allow_atomic", json!(true)),
            ("duplicate_window", json!(DUPLICATE_WINDOW_NS * 2)),
            ("first_seq", json!(1)),
            ("max_msgs", json!(0)),
        ];
        for (key, value) in harmless {
            let mut config = log_config();
            config[key] = value;
            assert_eq!(log_settings("LAUNCHES", &config), Ok(()), "{key}");
        }
    }

    #[test]
    fn settings_of_a_later_server_are_refused_by_their_level() {
        for (level, is_known) in [("0", true), ("5", true), ("6", false)] {
            let mut config = log_config();
            config["metadata"][REQUIRED_LEVEL] = json!(level);
            assert_eq!(log_settings("LAUNCHES", &config).is_ok(), is_known, "{level}");
        }
    }

    #[test]
    fn a_log_without_its_beginning_is_refused() {
        let state = |first_seq| StreamState { messages: 7, bytes: 1, first_seq, last_seq: 9, num_deleted: 0 };
        let check = |first, accepted: &str| first_message("LAUNCHES", &state(first), &accepted.parse().unwrap());
        assert!(check(0, "").is_ok() && check(1, "").is_ok() && check(3, "1-2").is_ok());
        assert!(check(3, "").unwrap_err().to_string().contains("sequence 3"));
        assert!(check(3, "2").is_err());
    }

    #[test]
    fn no_loss_is_accepted_of_what_is_to_come() {
        let ends_at = |last_seq| StreamState { messages: last_seq, bytes: 0, first_seq: 1, last_seq, num_deleted: 0 };
        let check = |end, accepted: &str| accepted_loss("LAUNCHES", &ends_at(end), &accepted.parse().unwrap());
        assert!(check(0, "").is_ok() && check(9, "3-4,9").is_ok());
        let refused = check(9, "3-4,8-10").unwrap_err().to_string();
        assert!(refused.contains("sequence 9") && refused.contains("saldo log accept-loss"), "{refused}");
        assert!(check(0, "1").is_err());
    }
}
