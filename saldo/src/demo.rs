//! `saldo demo`: a month of believable launches for a few stores, posted as any client would, and what the pipeline makes
//! of them. The same arguments make the same launches with the same ids, so that a second run counts nothing twice.

mod client;
mod month;
mod random;
mod report;
mod trades;

use std::io::{Write, stdout};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ledger::{BusinessDate, Tenant};

use crate::cli::DemoArguments;
use client::{Client, Counts};
use month::{Store, launches_of_day};

/// Lines of one request: a day of one store is a few hundred.
const LINES_A_REQUEST: usize = 2_000;

/// Posts, waits until all is applied, and prints.
///
/// # Errors
/// The pipeline cannot be reached, refuses something, or has counted otherwise than was posted.
pub fn demo(arguments: &DemoArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    let client = Client::new(arguments)?;
    let dates = dates(arguments)?;
    let stores: Vec<Store> = (0..arguments.stores).map(|number| Store::new(number, arguments.seed)).collect();
    let posted = post_all(&client, &stores, &dates).await?;
    let reports = report::fetch(&client, &posted, &dates).await?;
    let made = check(&reports, &posted)?;
    let tables = report::text(&reports, &posted, &dates);
    let _nobody_reads = writeln!(stdout(), "{tables}\n\nEach of the {made} launches is counted exactly once.");
    Ok(())
}

fn dates(arguments: &DemoArguments) -> anyhow::Result<Vec<BusinessDate>> {
    Tenant::parse(&arguments.tenant).context("--tenant")?;
    let from = BusinessDate::parse(&arguments.from).context("--from")?;
    let days = usize::from(arguments.days);
    let dates: Vec<_> = std::iter::successors(Some(from), |date| date.next()).take(days).collect();
    if dates.len() < days {
        bail!(
            "--from {from} is too late for {days} days: the last day that a launch can have is {} days on",
            dates.len() - 1
        );
    }
    Ok(dates)
}

/// A store with what was posted for it.
pub struct Posted {
    /// The store's account.
    pub account: String,
    /// How many launches were made for it.
    pub made: u64,
    /// What ingest answered.
    pub counts: Counts,
}

async fn post_all(client: &Client, stores: &[Store], dates: &[BusinessDate]) -> anyhow::Result<Vec<Posted>> {
    let bar = progress_bar(stores.len() * dates.len());
    let mut posted = Vec::new();
    for store in stores {
        bar.set_message(store.account.clone());
        posted.push(post_store(client, store, dates, &bar).await?);
    }
    bar.finish_and_clear();
    Ok(posted)
}

async fn post_store(
    client: &Client,
    store: &Store,
    dates: &[BusinessDate],
    bar: &ProgressBar,
) -> anyhow::Result<Posted> {
    let mut posted = Posted { account: store.account.clone(), made: 0, counts: Counts::default() };
    let mut lines = Vec::new();
    for date in dates {
        lines.extend(launches_of_day(store, *date));
        if lines.len() >= LINES_A_REQUEST {
            send(client, &mut posted, &mut lines).await?;
        }
        bar.inc(1);
    }
    send(client, &mut posted, &mut lines).await?;
    Ok(posted)
}

async fn send(client: &Client, posted: &mut Posted, lines: &mut Vec<String>) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    posted.made += u64::try_from(lines.len())?;
    let mut body = lines.join("\n");
    body.push('\n');
    posted.counts.add(client.post(body).await?)?;
    lines.clear();
    Ok(())
}

fn progress_bar(store_days: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(store_days).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} days of stores, {msg}");
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}

/// What the pipeline counts must be what was made, however often it was posted; gives that number.
fn check(reports: &[report::Report], posted: &[Posted]) -> anyhow::Result<u64> {
    let made: u64 = posted.iter().map(|posted| posted.made).sum();
    let counted: u64 = reports.iter().map(report::Report::launches).sum();
    if counted != made {
        bail!(
            "{made} launches were made for these days and {counted} are counted: these accounts have others besides, such as those \
             of a demo with another --seed; name another --tenant for each"
        );
    }
    Ok(made)
}
