//! What query makes of the launches, as tables for a person.

use anyhow::Context;
use ledger::{BusinessDate, Currency, format_minor_units};
use serde::Deserialize;

use super::{Posted, client::Client};

/// The days of one store.
#[derive(Debug)]
pub struct Report {
    account: String,
    days: Vec<Day>,
}

/// A day as query answers it.
#[derive(Clone, Debug, Deserialize)]
struct Day {
    date: String,
    currencies: Vec<Line>,
}

/// A day's line of one currency.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    opening: String,
    credits: String,
    debits: String,
    closing: String,
    credit_count: u64,
    debit_count: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Day>,
    next: Option<String>,
}

impl Report {
    /// How many launches are counted.
    pub fn launches(&self) -> u64 {
        self.lines().map(|line| line.credit_count + line.debit_count).sum()
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.days.iter().flat_map(|day| &day.currencies)
    }

    /// The sum over all days of one of the amounts, in minor units.
    fn sum(&self, amount: impl Fn(&Line) -> &str) -> i128 {
        self.lines().map(|line| minor_units(amount(line))).sum()
    }
}

/// The demo's amounts have two decimals, always written.
fn minor_units(text: &str) -> i128 {
    text.replace('.', "").parse().unwrap_or_default()
}

/// Reads the days of every store, at least as new as what was posted.
pub async fn fetch(client: &Client, posted: &[Posted], dates: &[BusinessDate]) -> anyhow::Result<Vec<Report>> {
    let (Some(from), Some(to)) = (dates.first(), dates.last()) else { return Ok(Vec::new()) };
    let mut reports = Vec::new();
    for Posted { account, counts, .. } in posted {
        let path = format!("/v1/accounts/{account}/days?from={from}&to={to}");
        let days = pages(client, &path, counts.position.as_deref()).await;
        reports
            .push(Report { account: account.clone(), days: days.with_context(|| format!("the days of {account}"))? });
    }
    Ok(reports)
}

async fn pages(client: &Client, path: &str, position: Option<&str>) -> anyhow::Result<Vec<Day>> {
    let mut days = Vec::new();
    let mut cursor = None;
    loop {
        let behind = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page: Page = client.get(&format!("{path}{behind}"), position).await?;
        days.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(days);
        }
    }
}

/// What was posted, the last day of every store, and all days together.
pub fn text(reports: &[Report], posted: &[Posted], dates: &[BusinessDate]) -> String {
    let accepted: u64 = posted.iter().map(|posted| posted.counts.accepted).sum();
    let duplicates: u64 = posted.iter().map(|posted| posted.counts.duplicates).sum();
    let mut lines = vec![format!("{accepted} launches accepted, {duplicates} known already")];
    if let (Some(from), Some(to)) = (dates.first(), dates.last()) {
        lines.extend(day(reports, &to.to_string()));
        lines.extend(all_days(reports, &from.to_string(), &to.to_string()));
    }
    lines.join("\n")
}

fn day(reports: &[Report], date: &str) -> Vec<String> {
    let mut lines = vec![
        format!("\nConsolidation of {date} (BRL)"),
        row("account", ["opening", "credits", "debits", "closing", "launches"]),
    ];
    for Report { account, days } in reports {
        let line = days.iter().find(|day| day.date == date).and_then(|day| day.currencies.first());
        lines.push(line.map_or_else(
            || row(account, ["none", "", "", "", "0"]),
            |Line { opening, credits, debits, closing, credit_count, debit_count }| {
                let launches = (credit_count + debit_count).to_string();
                row(account, [opening.as_str(), credits, debits, closing, &launches])
            },
        ));
    }
    lines
}

fn all_days(reports: &[Report], from: &str, to: &str) -> Vec<String> {
    let mut lines = vec![
        format!("\nAll days from {from} to {to} (BRL)"),
        row("account", ["credits", "debits", "result", "", "launches"]),
    ];
    let Ok(currency) = Currency::parse("BRL") else { return lines };
    let text = |minor_units| format_minor_units(minor_units, currency);
    for report in reports {
        let (credits, debits) = (report.sum(|line| &line.credits), report.sum(|line| &line.debits));
        let (result, launches) = (text(credits - debits), report.launches().to_string());
        lines.push(row(&report.account, [text(credits).as_str(), &text(debits), &result, "", &launches]));
    }
    lines
}

fn row(account: &str, [one, two, three, four, launches]: [&str; 5]) -> String {
    format!("{account:<16}{one:>14}{two:>14}{three:>14}{four:>14}{launches:>10}")
}
