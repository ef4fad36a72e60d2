//! Which prefixes of the log give an answer.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    history::{Account, Addition},
    readers::Resource,
};
use crate::model::{Launch, minor_units};

/// Prefixes of the log that are the same to an account: those that end at `first` up to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub first: u64,
    pub last: u64,
}

/// All prefixes, ending with whole messages, that give this answer about the account.
pub fn prefixes_that_give(account: &Account, resource: &Resource, body: &Value) -> anyhow::Result<Vec<Prefix>> {
    match resource {
        Resource::Range => prefix_of_range(account, body),
        Resource::Day(date) => Ok(walk(account, Some(date), &read(&body["currencies"])?)),
        Resource::Balance => Ok(walk(account, None, &read(&body["currencies"])?)),
    }
}

/// What an answer says of one currency, in minor units; of a balance all but the opening is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    opening: i128,
    credits: i128,
    debits: i128,
    credit_count: u64,
    debit_count: u64,
}

type Lines = BTreeMap<&'static str, Line>;

impl Line {
    fn closing(&self) -> i128 {
        self.opening + self.credits - self.debits
    }

    fn book(&mut self, launch: &Launch) {
        if launch.credit {
            self.credits += launch.minor_units;
            self.credit_count += 1;
        } else {
            self.debits += launch.minor_units;
            self.debit_count += 1;
        }
    }
}

fn signed(launch: &Launch) -> i128 {
    if launch.credit { launch.minor_units } else { -launch.minor_units }
}

/// Folds message after message and looks where the answer fits.
fn walk(account: &Account, date: Option<&String>, wanted: &Lines) -> Vec<Prefix> {
    let mut lines = Lines::new();
    let mut found = Vec::new();
    for (addition, last) in with_last(account) {
        for launch in &addition.launches {
            match date {
                Some(date) if launch.date == *date => lines.entry(launch.currency).or_default().book(launch),
                Some(date) if launch.date > *date => {}
                _ => lines.entry(launch.currency).or_default().opening += signed(launch),
            }
        }
        if lines == *wanted {
            found.push(Prefix { first: addition.sequence, last });
        }
    }
    found
}

/// Each message with the sequence before the next one.
fn with_last(account: &Account) -> impl Iterator<Item = (&Addition, u64)> {
    let next = account.additions.iter().skip(1).map(|addition| addition.sequence - 1).chain([u64::MAX]);
    account.additions.iter().zip(next)
}

/// The counts of all days together tell how long the prefix is.
fn prefix_of_range(account: &Account, body: &Value) -> anyhow::Result<Vec<Prefix>> {
    let items = body["items"].as_array().context("a list has items")?;
    ensure!(body["next"].is_null(), "the list has a second page");
    let mut wanted = BTreeMap::new();
    for item in items {
        let date = item["date"].as_str().context("a day has a date")?;
        wanted.insert(date.to_owned(), read(&item["currencies"])?);
    }
    let counts = wanted.values().flat_map(Lines::values).map(|line| line.credit_count + line.debit_count);
    let count = usize::try_from(counts.sum::<u64>())?;
    let mut counted = 0;
    let found = with_last(account).find(|(addition, _)| {
        counted += addition.launches.len();
        counted >= count
    });
    let Some((addition, last)) = found.filter(|_| counted == count) else { return Ok(Vec::new()) };
    let fits = days(account, addition.sequence) == wanted;
    Ok(fits.then_some(Prefix { first: addition.sequence, last }).into_iter().collect())
}

/// All days with launches, of the log up to `sequence`. A day names the currencies that had a launch by then.
fn days(account: &Account, sequence: u64) -> BTreeMap<String, Lines> {
    let mut days: BTreeMap<String, Lines> = BTreeMap::new();
    for addition in account.additions.iter().take_while(|addition| addition.sequence <= sequence) {
        for launch in &addition.launches {
            days.entry(launch.date.clone()).or_default().entry(launch.currency).or_default().book(launch);
        }
    }
    let mut closing: BTreeMap<&'static str, i128> = BTreeMap::new();
    for lines in days.values_mut() {
        for (currency, opening) in &closing {
            lines.entry(currency).or_default().opening = *opening;
        }
        closing = lines.iter().map(|(currency, line)| (*currency, line.closing())).collect();
    }
    days
}

fn read(currencies: &Value) -> anyhow::Result<Lines> {
    let list = currencies.as_array().context("an answer lists currencies")?;
    list.iter().map(read_line).collect()
}

fn read_line(told: &Value) -> anyhow::Result<(&'static str, Line)> {
    let currency = ["BRL", "JPY", "KWD"].into_iter().find(|known| told["currency"] == *known);
    let currency = currency.with_context(|| format!("an unknown currency: {told}"))?;
    let amount = |field: &str| {
        let text = told[field].as_str().with_context(|| format!("no {field}: {told}"))?;
        minor_units(text, currency).with_context(|| format!("{field} is no amount: {told}"))
    };
    if told.get("balance").is_some() {
        return Ok((currency, Line { opening: amount("balance")?, ..Line::default() }));
    }
    let count = |field: &str| told[field].as_u64().with_context(|| format!("no {field}: {told}"));
    let line = Line {
        opening: amount("opening")?,
        credits: amount("credits")?,
        debits: amount("debits")?,
        credit_count: count("credit_count")?,
        debit_count: count("debit_count")?,
    };
    ensure!(line.closing() == amount("closing")?, "it does not add up: {told}");
    Ok((currency, line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn launch(date: &str, credit: bool, minor_units: i128) -> Launch {
        let (account, id) = ("store-0".to_owned(), format!("l-{minor_units}"));
        Launch { account, date: date.to_owned(), id, credit, currency: "BRL", minor_units }
    }

    fn account() -> Account {
        let addition = |sequence, launches| Addition { sequence, launches };
        let first = vec![launch("2026-09-01", true, 500), launch("2026-09-02", false, 200)];
        let second = vec![launch("2026-09-02", true, 200)];
        Account { partition: 0, additions: vec![addition(3, first), addition(7, second)] }
    }

    #[test]
    fn answers_are_found_between_whole_messages() {
        let balance = |text: &str| json!({"currencies": [{"currency": "BRL", "balance": text}]});
        let prefixes = |text| prefixes_that_give(&account(), &Resource::Balance, &balance(text)).unwrap();
        assert_eq!(prefixes("3.00"), [Prefix { first: 3, last: 6 }]);
        assert_eq!(prefixes("5.00"), [Prefix { first: 7, last: u64::MAX }], "not the half of the first message");
        assert_eq!(prefixes("4.99"), []);
    }

    #[test]
    fn a_range_must_be_of_one_prefix_in_all_its_days() {
        let day = |date: &str, opening: &str, credits: &str, debits: &str, counts: [u64; 2], closing: &str| {
            json!({"date": date, "currencies": [{"currency": "BRL", "opening": opening, "credits": credits,
                "debits": debits, "credit_count": counts[0], "debit_count": counts[1], "closing": closing}]})
        };
        let first = day("2026-09-01", "0.00", "5.00", "0.00", [1, 0], "5.00");
        let prefixes = |second: Value| {
            let body = json!({"items": [first.clone(), second], "next": null});
            prefixes_that_give(&account(), &Resource::Range, &body).unwrap()
        };
        let before = day("2026-09-02", "5.00", "0.00", "2.00", [0, 1], "3.00");
        assert_eq!(prefixes(before), [Prefix { first: 3, last: 6 }]);
        let after = day("2026-09-02", "5.00", "2.00", "2.00", [1, 1], "5.00");
        assert_eq!(prefixes(after), [Prefix { first: 7, last: u64::MAX }]);
        let other = day("2026-09-02", "5.00", "2.01", "2.00", [1, 1], "5.01");
        assert_eq!(prefixes(other), []);
    }
}
