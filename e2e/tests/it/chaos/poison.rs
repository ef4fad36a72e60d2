//! What stands on the log and cannot be applied: parked or skipped, counted, and the lanes go on.

use std::collections::BTreeMap;

use anyhow::ensure;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{is_long, kills::some_moment, load::Load, report::Report, stage::Stage};
use crate::{
    metrics::{metric, wait_for_metric, wait_until_ready},
    pipeline::Setup,
    plain_nats::PlainConnection,
};

/// Messages with something bad in them.
const POISONED: u32 = 120;
/// Empty messages, in `cargo xtask test` and in `cargo xtask chaos`; a million in a log are a test of their own.
const EMPTY: (usize, usize) = (20_000, 100_000);
/// Lanes of the log.
const LANES: u32 = 4;
/// What the parked stream may take.
const PARKED_BYTES: &str = "--max-bytes=200000";
/// Long lines in the middle of the poison. Each is parked with about 10 KiB of its text: whatever kinds the seed draws,
/// the parked stream is full before the second half of the poison comes.
const FILLING_LINES: u32 = 24;
/// As long as a message may be.
const LONGEST_LINE_BYTES: usize = 512 * 1024 - 64;

/// Poison of every kind under load; then the parked stream is full, and more of it comes.
pub async fn of_every_kind(seed: u64) -> anyhow::Result<Report> {
    let variables = vec![("SALDO_PARTITIONS".to_owned(), LANES.to_string())];
    let mut stage = Stage::with(Setup { variables, ..Setup::default() }).await?;
    let load = Load::start(&stage, seed)?;
    some_moment(&mut StdRng::seed_from_u64(seed), 500).await;
    stage.pipeline()?.nats_cli(&["stream", "edit", "LAUNCHES_PARKED", PARKED_BYTES, "--force"], None)?;
    let url = stage.pipeline()?.nats.clone();
    let published = tokio::task::spawn_blocking(move || publish(&url, seed)).await??;

    let aggregator = stage.pipeline()?.aggregator.clone();
    for (reason, count) in &published {
        let label = format!("reason=\"{reason}\"");
        wait_for_metric(&aggregator, "saldo_aggregator_parked_lines_total", &label, |told| told >= f64::from(*count))
            .await?;
    }
    let empty = empty_messages() as f64;
    wait_for_metric(&aggregator, "saldo_aggregator_empty_messages_total", "", |told| told >= empty).await?;
    wait_for_metric(&aggregator, "saldo_aggregator_park_failures_total", "why=\"Full\"", |told| told >= 1.0).await?;
    wait_until_ready(&aggregator).await?;
    let report = load.judge(&stage).await?;

    // Everything is applied by now: what was counted is exact.
    for (reason, count) in &published {
        let label = format!("reason=\"{reason}\"");
        let told = metric(&aggregator, "saldo_aggregator_parked_lines_total", &label).await?;
        ensure!(told.to_bits() == f64::from(*count).to_bits(), "{told} lines are {reason}, not {count}");
    }
    let told = metric(&aggregator, "saldo_aggregator_empty_messages_total", "").await?;
    ensure!(told.to_bits() == empty.to_bits(), "{told} messages are empty, not {empty}");
    ensure!(metric(&aggregator, "saldo_aggregator_restarts_total", "").await? == 0.0, "a lane began anew");
    stage.stop().await?;
    Ok(report)
}

fn empty_messages() -> usize {
    if is_long() { EMPTY.1 } else { EMPTY.0 }
}

/// Publishes everything; returns how many lines must be parked, by reason.
fn publish(url: &str, seed: u64) -> anyhow::Result<BTreeMap<&'static str, u32>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut connection = PlainConnection::open(url)?;
    let mut published = BTreeMap::new();
    for number in 0..POISONED {
        if number == POISONED / 2 {
            *published.entry("line_too_long").or_default() += fill(&mut connection, number)?;
        }
        if number % 10 == 0 {
            *published.entry("wrong_lane").or_default() += wrong_lanes(&mut connection, number)?;
        }
        let lane = format!("launches.{}", random.random_range(0..LANES));
        let (reason, line) = poison(random.random_range(0..KINDS), number);
        connection.publish(&lane, line.as_bytes())?;
        *published.entry(reason).or_default() += 1;
        if number % (POISONED / 4) == 0 {
            connection.publish_empty(&lane, empty_messages() / 4)?;
        }
    }
    Ok(published)
}

/// More than the parked stream may take. How many lines are too long.
fn fill(connection: &mut PlainConnection, number: u32) -> anyhow::Result<u32> {
    for line in 0..FILLING_LINES {
        connection.publish(&format!("launches.{}", line % LANES), too_long(number).as_bytes())?;
    }
    Ok(FILLING_LINES)
}

/// A good launch in every lane: one of them is its account's. How many are not.
fn wrong_lanes(connection: &mut PlainConnection, number: u32) -> anyhow::Result<u32> {
    for lane in 0..LANES {
        let line = launch("stray", number, "\"date\":\"2026-11-01\",");
        connection.publish(&format!("launches.{lane}"), line.as_bytes())?;
    }
    Ok(LANES - 1)
}

const KINDS: u8 = 6;

fn poison(kind: u8, number: u32) -> (&'static str, String) {
    match kind {
        0 => ("malformed", format!("{{\"id\":\"open-{number}\",")),
        1 => ("malformed", "\u{1}\u{2} nonsense \u{feff}".to_owned()),
        2 => ("unknown_type", format!("{{\"type\":\"unheard-of\",\"id\":\"{number}\"}}")),
        3 => ("line_too_long", too_long(number)),
        4 => ("missing_date", launch("stray", number, "")),
        _ => ("invalid_amount", launch("stray", number, "\"date\":\"2026-11-01\",").replace("1.00", "-1.00")),
    }
}

fn too_long(number: u32) -> String {
    format!("{{\"id\":\"{number}-{}\"}}", "x".repeat(LONGEST_LINE_BYTES - 16))
}

/// Of another tenant than the load's.
fn launch(account: &str, number: u32, date: &str) -> String {
    format!(
        "{{\"id\":\"p-{number}\",\"tenant\":\"poisoner\",\"account\":\"{account}\",{date}\"kind\":\"credit\",\
         \"amount\":\"1.00\",\"currency\":\"BRL\"}}"
    )
}
