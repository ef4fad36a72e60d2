//! What moves where, and that near and far rows together are what one plain map of rows would hold.

use std::{collections::BTreeMap, convert::Infallible};

use ledger::Totals;
use proptest::prelude::*;

use super::*;

const CODES: [&str; 6] = ["BRL", "USD", "EUR", "JPY", "CHF", "GBP"];

fn row(grain: Grain, day: i32, code: &str, applied: u64) -> (RowKey, Balance) {
    let start = grain.start(BusinessDate::from_days(day).unwrap());
    let key = RowKey { grain, start, currency: Currency::parse(code).unwrap() };
    let totals = Totals { credits: i128::from(applied) << 80, ..Totals::default() };
    (key, Balance { applied, totals, ..Balance::default() })
}

fn of_day(day: i32, code: &str, applied: u64) -> Vec<(RowKey, Balance)> {
    Grain::ALL.map(|grain| row(grain, day, code, applied)).to_vec()
}

#[test]
fn rows_stay_near_until_another_day_is_written() {
    let mut owner = NearRows::default();
    assert_eq!(owner.take(&of_day(40, "BRL", 1)), []);
    assert_eq!(owner.take(&of_day(40, "BRL", 2)), []);
    assert_eq!(owner.take(&of_day(40, "USD", 3)), []);
    assert_eq!(owner.all().len(), 6);
    // The next day of the same month: both currencies of the former day move out as they were.
    let moved = owner.take(&of_day(41, "BRL", 4));
    assert_eq!(moved, [row(Grain::Day, 40, "BRL", 2), row(Grain::Day, 40, "USD", 3)]);
    let (lifetime, balance) = row(Grain::Lifetime, 41, "BRL", 4);
    assert_eq!(owner.get(&lifetime), Some(&balance));
    // Another month.
    let moved = owner.take(&of_day(80, "BRL", 5));
    let expected = [row(Grain::Day, 41, "BRL", 4), row(Grain::Month, 41, "BRL", 4), row(Grain::Month, 41, "USD", 3)];
    assert!(moved.len() == expected.len() && expected.iter().all(|row| moved.contains(row)), "{moved:?}");
}

#[test]
fn of_several_days_written_at_once_the_latest_is_near_and_each_row_has_one_place() {
    let mut owner = NearRows::default();
    owner.take(&of_day(40, "BRL", 1));
    let written = [row(Grain::Day, 39, "BRL", 2), row(Grain::Day, 40, "BRL", 2), row(Grain::Day, 41, "BRL", 2)];
    let mut moved = owner.take(&written);
    moved.sort_unstable_by_key(|(key, _)| *key);
    assert_eq!(moved, written[..2]);
    assert!(owner.get(&written[2].0).is_some() && owner.get(&written[1].0).is_none());
}

#[test]
fn many_currencies_have_rows_of_their_own() {
    let mut owner = NearRows::default();
    let far: Vec<_> = CODES[..5].iter().flat_map(|code| owner.take(&of_day(40, code, 1))).collect();
    assert_eq!(owner.all().len(), MOST_NEAR_ROWS);
    assert_eq!(far, of_day(40, "CHF", 1));
    assert_eq!(owner.currencies().len(), 5);
}

proptest! {
    /// Batches of any rows, some of them older than what is stored; days of three months.
    #[test]
    fn near_and_far_rows_are_what_one_map_would_hold(
        batches in prop::collection::vec((prop::collection::vec((0..3_usize, 20_i32..100, 0..6_usize), 1..8), 0_u64..30), 1..30),
        grain in 0..3_usize, from in 0_i32..100, days in 0_i32..100,
    ) {
        let (mut owner, mut far) = (NearRows::new(), BTreeMap::new());
        let mut naive: BTreeMap<RowKey, Balance> = BTreeMap::new();
        for (rows, applied) in batches {
            let rows: BTreeMap<RowKey, Balance> =
                rows.iter().map(|(grain, day, code)| row(Grain::ALL[*grain], *day, CODES[*code], applied)).collect();
            let rows: Vec<(RowKey, Balance)> = rows.into_iter().collect();
            for (key, balance) in &rows {
                let stored = naive.entry(*key).or_insert(*balance);
                if stored.applied < balance.applied {
                    *stored = *balance;
                }
            }
            let Ok(newer) = owner.newer(&rows, |key| Ok::<_, Infallible>(far.get(key).map(|row: &Balance| row.applied)));
            far.extend(owner.take(&newer));
            prop_assert!(owner.all().len() <= MOST_NEAR_ROWS);
        }
        let (grain, date) = (Grain::ALL[grain], |day| BusinessDate::from_days(day).unwrap());
        let (from, to) = (grain.start(date(from)), grain.start(date(from + days)));
        let Ok(found) = owner.view(&[(grain, from, to), (Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN)], &mut &far, NearRules::ALL);
        let is_wanted = |key: &RowKey| (key.grain == grain && (from..=to).contains(&key.start)) || key.grain == Grain::Lifetime;
        let expected: Vec<_> = naive.into_iter().filter(|(key, _)| is_wanted(key)).collect();
        prop_assert_eq!(found, expected);
    }
}
