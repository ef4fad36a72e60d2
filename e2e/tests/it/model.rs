//! What the pipeline must answer, computed the naive way: remember every launch once, sort, sum.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

/// A launch as the model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub account: String,
    pub date: String,
    pub id: String,
    pub credit: bool,
    pub currency: &'static str,
    pub minor_units: i128,
}

impl Launch {
    /// The JSON object that a caller posts.
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "account": self.account,
            "date": self.date,
            "kind": if self.credit { "credit" } else { "debit" },
            "amount": decimal(self.minor_units, self.currency),
            "currency": self.currency,
            "description": format!("launch {} of {}", self.id, self.account),
        })
    }

    /// The JSON object as it stands on the log.
    pub fn wire(&self, tenant: &str) -> Value {
        let mut object = self.json();
        object["tenant"] = json!(tenant);
        object
    }
}

/// A decimal with the currency's decimals, written without the project's own formatting.
pub fn decimal(minor_units: i128, currency: &str) -> String {
    let digits = digits(currency);
    let sign = if minor_units < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor_units.unsigned_abs(), width = digits + 1);
    let (whole, decimals) = text.split_at(text.len() - digits);
    if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") }
}

/// Minor units out of a decimal, read without the project's own parsing.
pub fn minor_units(decimal: &str, currency: &str) -> Option<i128> {
    let digits = digits(currency);
    let (whole, decimals) = decimal.split_once('.').unwrap_or((decimal, ""));
    if decimals.len() > digits {
        return None;
    }
    format!("{whole}{decimals:0<digits$}").parse().ok()
}

fn digits(currency: &str) -> usize {
    match currency {
        "JPY" => 0,
        "KWD" => 3,
        _ => 2,
    }
}

/// Launches that count, by account and key.
#[derive(Clone, Debug, Default)]
pub struct Model {
    launches: BTreeMap<String, BTreeMap<(String, String), Launch>>,
}

impl Model {
    /// Counts a launch, unless its id is known.
    pub fn add(&mut self, launch: &Launch) {
        let key = (launch.date.clone(), launch.id.clone());
        self.launches.entry(launch.account.clone()).or_default().entry(key).or_insert_with(|| launch.clone());
    }

    /// Takes in another model's accounts, which this one does not have.
    pub fn merge(&mut self, other: Self) {
        self.launches.extend(other.launches);
    }

    /// Forgets nothing and counts nothing twice: how many launches of an account count.
    pub fn count_of(&self, account: &str) -> usize {
        self.launches.get(account).map_or(0, BTreeMap::len)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &String> {
        self.launches.keys()
    }

    pub fn ids_of(&self, account: &str, date: &str) -> BTreeSet<String> {
        self.launches[account].values().filter(|launch| launch.date == date).map(|launch| launch.id.clone()).collect()
    }

    pub fn dates_of(&self, account: &str) -> BTreeSet<String> {
        self.launches[account].values().map(|launch| launch.date.clone()).collect()
    }

    /// What `currencies` of a day must be.
    pub fn day(&self, account: &str, date: &str) -> Value {
        let known = self.currencies(account, date).into_iter();
        Value::Array(known.map(|currency| self.line(account, date, currency)).collect())
    }

    /// What `currencies` of the balance must be.
    pub fn balance(&self, account: &str) -> Value {
        let total = |currency| self.sum(account, currency, |_| true);
        let lines = self.currencies(account, "9999").into_iter().map(|currency| {
            let (credits, debits, _, _) = total(currency);
            json!({"currency": currency, "balance": decimal(credits - debits, currency)})
        });
        Value::Array(lines.collect())
    }

    /// A day names the currencies that had a launch by then.
    fn currencies(&self, account: &str, date: &str) -> BTreeSet<&'static str> {
        let launches = self.launches[account].values();
        launches.filter(|launch| launch.date.as_str() <= date).map(|launch| launch.currency).collect()
    }

    fn line(&self, account: &str, date: &str, currency: &'static str) -> Value {
        let (credits_before, debits_before, _, _) = self.sum(account, currency, |other| other < date);
        let (credits, debits, credit_count, debit_count) = self.sum(account, currency, |other| other == date);
        let opening = credits_before - debits_before;
        json!({
            "currency": currency,
            "opening": decimal(opening, currency),
            "credits": decimal(credits, currency),
            "debits": decimal(debits, currency),
            "credit_count": credit_count,
            "debit_count": debit_count,
            "closing": decimal(opening + credits - debits, currency),
        })
    }

    fn sum(&self, account: &str, currency: &str, dates: impl Fn(&str) -> bool) -> (i128, i128, u64, u64) {
        let mut sums = (0, 0, 0, 0);
        for launch in self.launches[account].values() {
            if launch.currency != currency || !dates(&launch.date) {
                continue;
            }
            if launch.credit {
                sums.0 += launch.minor_units;
                sums.2 += 1;
            } else {
                sums.1 += launch.minor_units;
                sums.3 += 1;
            }
        }
        sums
    }
}

/// Random launches with ids of their own: a few accounts, three currencies, dates over some months.
pub fn random_launches(seed: u64, accounts: usize, count: usize) -> Vec<Launch> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|number| random_launch(&mut random, accounts, number)).collect()
}

/// A random launch of one of the accounts `store-<n>`; the number makes its id unlike others.
pub fn random_launch(random: &mut StdRng, accounts: usize, number: usize) -> Launch {
    let month = random.random_range(8..=11);
    let day = random.random_range(1..=30);
    Launch {
        account: format!("store-{}", random.random_range(0..accounts)),
        date: format!("2026-{month:02}-{day:02}"),
        id: format!("l-{number}-{:x}", random.next_u32()),
        credit: random.random_bool(0.6),
        currency: ["BRL", "BRL", "BRL", "JPY", "KWD"].choose(random).copied().unwrap_or("BRL"),
        minor_units: random.random_range(1..5_000_000),
    }
}
