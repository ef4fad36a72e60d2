//! Messages by hand may be anything.

use super::alone::{Alone, line, message};
use crate::{
    lane::partition_of,
    parked::MAX_PARKED_BYTES,
    worker::{ParsedMessage, Step},
};

fn reasons(alone: &Alone) -> Vec<(u32, &str)> {
    alone.parked.iter().flat_map(|parked| &parked.lines).map(|line| (line.line, line.reason.as_str())).collect()
}

#[test]
fn blank_lines_count_and_carriage_returns_and_a_byte_order_mark_do_not_harm() {
    let first = line("a", "2026-11-22", "1", "1.00");
    let second = line("a", "2026-11-22", "2", "1.00");
    let parsed = ParsedMessage::parse(message(1, format!("\u{feff}\r\n{first}\r\n  \n{second}")), 0, 1);
    let places: Vec<u32> = parsed.entries.iter().map(|entry| entry.fact.place.line).collect();
    assert_eq!((places, parsed.bad_lines), (vec![2, 4], 0));
    assert_eq!(parsed.entries[0].fact.line, first.as_bytes());
}

#[test]
fn messages_without_any_line_are_empty() {
    for payload in ["", "\n", " \r\n\t\n", "\u{feff}"] {
        assert_eq!(ParsedMessage::parse(message(1, payload), 0, 1).empty_messages, 1, "{payload:?}");
    }
    assert_eq!(ParsedMessage::parse(message(1, "x"), 0, 1).empty_messages, 0);
}

#[test]
fn bad_lines_are_parked_with_their_reason_and_the_others_count() {
    let mut alone = Alone::new();
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(70_000));
    let mut payload = [
        line("a", "2026-11-22", "1", "1.00").into_bytes(),
        b"{\"id\":".to_vec(),
        b"{\"id\":\"\xff\"}".to_vec(),
        long.into_bytes(),
        line("a", "2026-11-22", "1", "2.00").into_bytes(),
        line("a", "2026-11-22", "2", "1.000").into_bytes(),
        br#"{"type":"whatever","tenant":"acme","account":"a","id":"7"}"#.to_vec(),
    ]
    .join(&b'\n');
    payload.push(b'\n');
    alone.offer(1, payload);
    assert_eq!(alone.drive(), Step::Wait);
    let expected = [
        (2, "malformed"),
        (3, "malformed"),
        (4, "line_too_long"),
        (5, "conflict"),
        (6, "invalid_amount"),
        (7, "unknown_type"),
    ];
    assert_eq!(reasons(&alone), expected);
    assert_eq!(alone.worker.counters().launches, 1);
    let lines = &alone.parked[0].lines;
    assert!(lines[2].cut);
    assert_eq!(lines[5].account.as_deref(), Some("a"));
    assert_eq!(lines[3].id.as_deref(), Some("1"));
    assert!(serde_json::to_vec(&alone.parked[0]).unwrap().len() <= MAX_PARKED_BYTES);
}

#[test]
fn a_message_of_nothing_but_garbage_is_parked_within_its_bound() {
    let mut alone = Alone::new();
    alone.offer(1, "\u{1}\n".repeat(200_000));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.parked[0].bad_lines, 200_000);
    assert!(alone.parked[0].lines.len() > 100);
    assert!(serde_json::to_vec(&alone.parked[0]).unwrap().len() <= MAX_PARKED_BYTES);
    let counters = alone.worker.counters();
    assert_eq!(counters.parked_lines.values().sum::<u64>(), 200_000);
}

#[test]
fn more_lines_than_ingest_packs_are_applied() {
    let mut alone = Alone::new();
    let lines: Vec<String> = (0..5_000).map(|id| line("a", "2026-11-22", &id.to_string(), "0.01")).collect();
    alone.offer(1, lines.join("\n"));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(alone.worker.counters().launches, 5_000);
    assert_eq!(alone.commits.len(), 1);
}

#[test]
fn a_line_in_a_foreign_lane_is_parked_there() {
    let mut alone = Alone::new();
    let key = super::alone::key("acme", "a");
    let foreign = 1 - partition_of(&key, 2);
    alone.worker.offer(ParsedMessage::parse(message(1, line("a", "2026-11-22", "1", "1.00")), foreign, 2));
    assert_eq!(alone.drive(), Step::Wait);
    assert_eq!(reasons(&alone), [(1, "wrong_lane")]);
    assert_eq!(alone.parked[0].lines[0].tenant.as_deref(), Some("acme"));
}
