use proptest::prelude::*;

use super::*;
use crate::{Amount, Kind, Place, Totals};

type Booking = (BusinessDate, Currency, Kind, Amount);

fn date(text: &str) -> BusinessDate {
    BusinessDate::parse(text).unwrap()
}

fn any_date() -> impl Strategy<Value = BusinessDate> {
    let near = date("2026-09-20").days()..=date("2027-02-10").days();
    let all = BusinessDate::MIN.days()..=BusinessDate::MAX.days();
    let ends = prop_oneof![Just(BusinessDate::MIN.days()), Just(BusinessDate::MAX.days())];
    prop_oneof![8 => near, 1 => all, 1 => ends].prop_map(|days| BusinessDate::from_days(days).unwrap())
}

fn bookings() -> impl Strategy<Value = Vec<Booking>> {
    let currency = prop_oneof![Just("BRL"), Just("JPY"), Just("BHD")].prop_map(|code| Currency::parse(code).unwrap());
    let kind = prop_oneof![Just(Kind::Credit), Just(Kind::Debit)];
    let amount = (1..=crate::MAX_AMOUNT_MINOR_UNITS).prop_map(|units| Amount::from_minor_units(units).unwrap());
    proptest::collection::vec((any_date(), currency, kind, amount), 0..60)
}

fn rows_of(bookings: &[Booking]) -> BTreeMap<RowKey, Balance> {
    let mut rows: BTreeMap<RowKey, Balance> = BTreeMap::new();
    for (number, (date, currency, kind, amount)) in (1..).zip(bookings) {
        for grain in Grain::ALL {
            let row = rows.entry(RowKey { grain, start: grain.start(*date), currency: *currency }).or_default();
            row.totals.add(*kind, *amount);
            row.changed = Place::new(number, 1);
            row.applied = number;
        }
    }
    rows
}

/// Only what the plan asks for.
fn asked(plan: &OpeningPlan, rows: &BTreeMap<RowKey, Balance>) -> BTreeMap<RowKey, Balance> {
    let ranges = plan.ranges();
    let is_asked = |key: &RowKey| {
        ranges.iter().any(|(grain, first, last)| key.grain == *grain && key.start >= *first && key.start <= *last)
    };
    rows.iter().filter(|(key, _)| is_asked(key)).map(|(key, row)| (*key, *row)).collect()
}

fn signed(kind: Kind, amount: Amount) -> i128 {
    match kind {
        Kind::Credit => i128::from(amount.minor_units()),
        Kind::Debit => -i128::from(amount.minor_units()),
    }
}

/// Sums every booking before `date`.
fn naive_opening(bookings: &[Booking], date: BusinessDate) -> Balances {
    let mut balances = Balances::new();
    for (day, currency, kind, amount) in bookings {
        let part = if *day < date { signed(*kind, *amount) } else { 0 };
        *balances.entry(*currency).or_default() += part;
    }
    balances
}

fn all_plans(date: BusinessDate) -> [OpeningPlan; 4] {
    [(Side::Before, Side::Before), (Side::Before, Side::After), (Side::After, Side::Before), (Side::After, Side::After)]
        .map(|(months, days)| OpeningPlan { date, months, days })
}

proptest! {
    #[test]
    fn every_plan_gives_the_naive_sum(bookings in bookings(), date in any_date(), today in any_date()) {
        let rows = rows_of(&bookings);
        let expected = naive_opening(&bookings, date);
        for plan in all_plans(date).into_iter().chain([OpeningPlan::new(date, today)]) {
            prop_assert_eq!(&opening(&plan, &asked(&plan, &rows)), &expected, "{:?}", plan);
            prop_assert_eq!(&opening(&plan, &rows), &expected, "{:?} with more rows than asked for", plan);
        }
    }

    #[test]
    fn days_open_with_what_lies_before_and_close_with_their_own(bookings in bookings(), from in any_date(), length in 0..40_i32) {
        let to = BusinessDate::from_days(from.days() + length).unwrap_or(BusinessDate::MAX);
        let rows = rows_of(&bookings);
        let all = days(from, to, &naive_opening(&bookings, from), &rows, true);
        prop_assert_eq!(all.len(), usize::try_from(to.days() - from.days() + 1).unwrap());
        for line in &all {
            let of_day: Vec<Booking> = bookings.iter().copied().filter(|booking| booking.0 == line.date).collect();
            prop_assert_eq!(line.changed.is_none(), of_day.is_empty());
            let openings: Balances = line.currencies.iter().map(|each| (each.currency, each.opening)).collect();
            prop_assert_eq!(openings, naive_opening(&bookings, line.date));
            for each in &line.currencies {
                let mut totals = Totals::default();
                let own = of_day.iter().filter(|booking| booking.1 == each.currency);
                own.for_each(|(_, _, kind, amount)| totals.add(*kind, *amount));
                prop_assert_eq!(each.totals, totals);
                prop_assert_eq!(each.closing, each.opening + totals.net());
            }
        }
        let filled = days(from, to, &naive_opening(&bookings, from), &rows, false);
        let expected: Vec<DayLine> = all.into_iter().filter(|line| line.changed.is_some()).collect();
        prop_assert_eq!(filled, expected);
    }
}

#[test]
fn near_and_future_days_start_from_the_lifetime_and_old_ones_from_the_beginning() {
    let today = date("2026-11-22");
    let sides = |text: &str| {
        let plan = OpeningPlan::new(date(text), today);
        (plan.months, plan.days)
    };
    assert_eq!(sides("2026-11-22"), (Side::After, Side::After));
    assert_eq!(sides("2026-11-03"), (Side::After, Side::Before));
    assert_eq!(sides("2026-12-24"), (Side::After, Side::Before));
    assert_eq!(sides("2024-11-30"), (Side::After, Side::After));
    assert_eq!(sides("2024-10-30"), (Side::Before, Side::After));
    assert_eq!(sides("2001-01-02"), (Side::Before, Side::Before));
}

#[test]
fn a_plan_asks_for_no_more_than_it_sums() {
    let lifetime = (Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN);
    let plan = |text: &str, months, days| OpeningPlan { date: date(text), months, days }.ranges();
    assert_eq!(plan("1900-01-01", Side::Before, Side::Before), [lifetime]);
    assert_eq!(
        plan("2199-12-31", Side::After, Side::After),
        [lifetime, (Grain::Day, BusinessDate::MAX, BusinessDate::MAX)]
    );
    assert_eq!(
        plan("2026-11-22", Side::After, Side::Before),
        [
            lifetime,
            (Grain::Month, date("2026-11-01"), date("2199-12-01")),
            (Grain::Day, date("2026-11-01"), date("2026-11-21")),
        ]
    );
    assert_eq!(
        plan("2026-11-22", Side::Before, Side::After),
        [
            lifetime,
            (Grain::Month, BusinessDate::MIN, date("2026-11-01")),
            (Grain::Day, date("2026-11-22"), date("2026-11-30")),
        ]
    );
}

#[test]
fn a_currency_without_balance_is_in_every_day() {
    let brl = Currency::parse("BRL").unwrap();
    let rows = rows_of(&[(date("2030-01-01"), brl, Kind::Credit, Amount::from_minor_units(5).unwrap())]);
    let plan = OpeningPlan::new(date("2026-11-22"), date("2026-11-22"));
    let balances = opening(&plan, &asked(&plan, &rows));
    assert_eq!(balances, Balances::from([(brl, 0)]));
    let line = &days(plan.date, plan.date, &balances, &BTreeMap::new(), true)[0];
    let expected = CurrencyLine { currency: brl, opening: 0, totals: Totals::default(), closing: 0 };
    assert_eq!((line.currencies.as_slice(), line.changed), ([expected].as_slice(), None));
    assert_eq!(days(date("2026-11-23"), plan.date, &balances, &rows, true), []);
    let rows_of_other_days = days(plan.date, plan.date, &Balances::new(), &rows, true);
    assert_eq!(rows_of_other_days[0].currencies, []);
}

/// Each day as a sum over all bookings, of the currencies that had one by then.
fn naive_days(bookings: &[Booking], from: BusinessDate, to: BusinessDate) -> Vec<(BusinessDate, Balances)> {
    let closing = |date: BusinessDate| {
        let mut balances = Balances::new();
        for (_, currency, kind, amount) in bookings.iter().filter(|(day, ..)| *day <= date) {
            *balances.entry(*currency).or_default() += signed(*kind, *amount);
        }
        balances
    };
    let dates = (from.days()..=to.days()).filter_map(BusinessDate::from_days);
    dates.map(|date| (date, closing(date))).collect()
}

proptest! {
    #[test]
    fn days_of_a_plan_close_as_a_sum_over_all_bookings(
        bookings in bookings(), from in any_date(), length in 0_i32..40, today in any_date()
    ) {
        let to = BusinessDate::from_days(from.days() + length).unwrap_or(BusinessDate::MAX);
        let plan = DaysPlan::new(from, to, today);
        let is_asked = |key: &RowKey| {
            plan.ranges().iter().any(|(grain, first, last)| key.grain == *grain && (*first..=*last).contains(&key.start))
        };
        let rows = rows_of(&bookings).into_iter().filter(|(key, _)| is_asked(key)).collect();
        let closing = |line: &DayLine| line.currencies.iter().map(|line| (line.currency, line.closing)).collect();
        let lines: Vec<(BusinessDate, Balances)> =
            plan.lines(&rows, true).iter().map(|line| (line.date, closing(line))).collect();
        prop_assert_eq!(lines, naive_days(&bookings, from, to));
        let has_launches = |date: &BusinessDate| bookings.iter().any(|(day, ..)| day == date);
        let listed: Vec<BusinessDate> = plan.lines(&rows, false).iter().map(|line| line.date).collect();
        let expected: Vec<BusinessDate> =
            (from.days()..=to.days()).filter_map(BusinessDate::from_days).filter(has_launches).collect();
        prop_assert_eq!(listed, expected);
    }
}
