//! A random log: few ids, so that many launches are duplicates or conflicts.

use ledger::Place;
use proptest::prelude::*;

/// An entry before it is written as a line.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub account: &'static str,
    pub date: &'static str,
    pub id: u8,
    pub is_credit: bool,
    pub minor_units: i64,
    pub currency: &'static str,
    /// Writes the same content in another way.
    pub as_number: bool,
}

impl Sketch {
    pub fn line(&self) -> String {
        let decimals = if self.currency == "JPY" { 0 } else { 2 };
        let (whole, fraction) = (self.minor_units / 100, self.minor_units % 100);
        let amount = if decimals == 0 { self.minor_units.to_string() } else { format!("{whole}.{fraction:02}") };
        let kind = if self.is_credit { "credit" } else { "debit" };
        let Self { account, date, id, currency, .. } = self;
        if self.as_number {
            format!(
                "{{\"amount\": {amount}, \"kind\": \"{kind}\", \"id\": \"id-{id}\", \"currency\": \"{currency}\", \
                 \"tenant\": \"acme\", \"date\": \"{date}\", \"account\": \"{account}\", \"type\": \"launch\"}}"
            )
        } else {
            format!(
                "{{\"id\":\"id-{id}\",\"tenant\":\"acme\",\"account\":\"{account}\",\"date\":\"{date}\",\"kind\":\"{kind}\",\
                 \"amount\":\"{amount}\",\"currency\":\"{currency}\"}}"
            )
        }
    }
}

/// Entries with their places, in the order of the log.
pub fn any_log() -> impl Strategy<Value = Vec<(Place, Sketch)>> {
    proptest::collection::vec((any_sketch(), any::<bool>()), 0..300).prop_map(|sketches| {
        let mut place = Place::new(1, 0);
        let with_place = |(sketch, next_message): (Sketch, bool)| {
            place = if next_message {
                Place::new(place.sequence + 1, 1)
            } else {
                Place::new(place.sequence, place.line + 1)
            };
            (place, sketch)
        };
        sketches.into_iter().map(with_place).collect()
    })
}

fn any_sketch() -> impl Strategy<Value = Sketch> {
    let dates = [
        "2026-10-31",
        "2026-11-01",
        "2026-11-21",
        "2026-11-22",
        "2026-11-30",
        "2026-12-01",
        "1900-01-01",
        "2199-12-31",
    ];
    let window = (proptest::sample::select(vec!["store-1", "till"]), proptest::sample::select(dates.to_vec()));
    let money = (any::<bool>(), prop_oneof![4 => 1..4_i64, 1 => 1..=1_000_000_000_000_000_i64]);
    let currency = proptest::sample::select(vec!["BRL", "BRL", "JPY"]);
    (window, 0..12_u8, money, currency, any::<bool>()).prop_map(
        |((account, date), id, (is_credit, minor_units), currency, as_number)| Sketch {
            account,
            date,
            id,
            is_credit,
            minor_units,
            currency,
            as_number,
        },
    )
}
