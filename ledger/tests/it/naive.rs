//! What counts and what it sums up to, without digests, sets, rows or plans.

use std::collections::{BTreeMap, BTreeSet};

use ledger::Place;

use crate::log::Sketch;

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Counts,
    Duplicate(Place),
    Conflict(Place),
}

/// Judges each entry by looking through all entries before it.
pub fn verdicts(log: &[(Place, Sketch)]) -> Vec<Verdict> {
    let first_of = |entry: &Sketch| {
        let is_same_id = |other: &&(Place, Sketch)| {
            (other.1.account, other.1.date, other.1.id) == (entry.account, entry.date, entry.id)
        };
        log.iter().filter(is_same_id).min_by_key(|(place, _)| *place)
    };
    let verdict = |(place, entry): &(Place, Sketch)| match first_of(entry) {
        Some((first, original)) if first < place && content(original) == content(entry) => Verdict::Duplicate(*first),
        Some((first, _)) if first < place => Verdict::Conflict(*first),
        _ => Verdict::Counts,
    };
    log.iter().map(verdict).collect()
}

fn content(entry: &Sketch) -> (bool, i64, &str) {
    (entry.is_credit, entry.minor_units, entry.currency)
}

/// The entries that count.
pub fn counted(log: &[(Place, Sketch)]) -> Vec<&Sketch> {
    let judged = log.iter().zip(verdicts(log));
    judged.filter(|(_, verdict)| *verdict == Verdict::Counts).map(|((_, entry), _)| entry).collect()
}

/// The balance of every currency of the account after all launches up to and with `date`.
pub fn closing(log: &[(Place, Sketch)], account: &str, date: &str) -> BTreeMap<String, i128> {
    let own: Vec<&Sketch> = counted(log).into_iter().filter(|entry| entry.account == account).collect();
    let currencies: BTreeSet<&str> = own.iter().map(|entry| entry.currency).collect();
    let balance = |currency: &str| {
        let until = own.iter().filter(|entry| entry.currency == currency && entry.date <= date);
        until.map(|entry| i128::from(if entry.is_credit { entry.minor_units } else { -entry.minor_units })).sum()
    };
    currencies.into_iter().map(|currency| (currency.to_owned(), balance(currency))).collect()
}
