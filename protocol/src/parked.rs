//! Parked messages: entries that cannot be applied, kept with their text and reason.

use serde::{Deserialize, Serialize};

/// Most bytes of a parked message; what is beyond is cut, the log has the rest.
pub const MAX_PARKED_BYTES: usize = 64 * 1024;

/// The bad lines of one log message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedMessage {
    /// The log's epoch.
    pub epoch: u8,
    /// The lane.
    pub partition: u16,
    /// Stream sequence of the log message.
    pub sequence: u64,
    /// The log's time of that message: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// How many lines are bad, also when `lines` lists fewer.
    pub bad_lines: u32,
    /// The bad lines, in order; cut so that the whole stays under [`MAX_PARKED_BYTES`].
    pub lines: Vec<ParkedLine>,
}

/// One bad line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedLine {
    /// Line in the message, from 1.
    pub line: u32,
    /// The reason's slug.
    pub reason: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// The tenant, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The account, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The launch's id, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The line's text (invalid UTF-8 replaced), perhaps cut.
    pub text: String,
    /// Whether `text` is cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}
