//! Bad lines become a parked message.

use ledger::{Invalid, Reason};
use serde::Deserialize;

use super::parse::{BadLine, ParsedMessage};
use crate::parked::{MAX_PARKED_BYTES, ParkedLine, ParkedMessage};

/// The frame of a parked message, without its lines.
const FRAME_BYTES: usize = 256;
/// Most bytes of one line's text; leaves room for the frame even when every byte needs six in JSON.
const MAX_TEXT_BYTES: usize = (MAX_PARKED_BYTES - 4 * FRAME_BYTES) / 6;

/// The names in a line, as far as they can be read.
#[derive(Default, Deserialize)]
struct Names {
    #[serde(default)]
    tenant: Option<serde_json::Value>,
    #[serde(default)]
    account: Option<serde_json::Value>,
    #[serde(default)]
    id: Option<serde_json::Value>,
}

/// A launch whose id is known with other content.
pub(crate) fn conflict(line: u32, first: ledger::Place, text: bytes::Bytes) -> BadLine {
    let detail = format!("the id is known with other content, from sequence {} line {}", first.sequence, first.line);
    BadLine { line, invalid: Invalid::new(Reason::Conflict, detail), text }
}

/// The parked message of a log message; `bad_lines` counts those beyond `bad`, too.
pub(crate) fn park(
    message: &ParsedMessage,
    epoch: u8,
    partition: u16,
    bad: &[BadLine],
    bad_lines: u32,
) -> ParkedMessage {
    let mut parked = ParkedMessage {
        epoch,
        partition,
        sequence: message.sequence(),
        time_ms: message.message.time_ms,
        bad_lines,
        lines: Vec::new(),
    };
    let mut room = MAX_PARKED_BYTES - FRAME_BYTES;
    for bad in bad {
        let line = parked_line(bad);
        let bytes = serde_json::to_vec(&line).map_or(usize::MAX, |json| json.len() + 1);
        if bytes > room {
            break;
        }
        room -= bytes;
        parked.lines.push(line);
    }
    parked
}

fn parked_line(bad: &BadLine) -> ParkedLine {
    let names = names(bad);
    let kept = bad.text.len().min(MAX_TEXT_BYTES);
    ParkedLine {
        line: bad.line,
        reason: bad.invalid.reason.slug().to_owned(),
        detail: bad.invalid.detail.clone(),
        tenant: names.tenant.and_then(short_text),
        account: names.account.and_then(short_text),
        id: names.id.and_then(short_text),
        text: String::from_utf8_lossy(&bad.text[..kept]).into_owned(),
        cut: kept < bad.text.len(),
    }
}

fn names(bad: &BadLine) -> Names {
    if bad.invalid.reason == Reason::LineTooLong {
        return Names::default();
    }
    serde_json::from_slice(&bad.text).unwrap_or_default()
}

/// A text that may be an identifier.
fn short_text(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) if text.len() <= 64 => Some(text),
        _ => None,
    }
}
