use proptest::prelude::*;

use super::*;

fn date(text: &str) -> BusinessDate {
    BusinessDate::parse(text).unwrap()
}

fn rule(from: &str, zone: &str, cut_off_minutes: u16) -> CalendarRule {
    let zone_version = ZoneVersion::of_this_program(zone).ok();
    CalendarRule { effective_from: date(from), zone: zone.to_owned(), zone_version, cut_off_minutes }
}

fn calendar(zone: &str, cut_off_minutes: u16) -> Calendar {
    Calendar::new(vec![rule("1900-01-01", zone, cut_off_minutes)]).unwrap()
}

fn instant(text: &str) -> i128 {
    text.parse::<Timestamp>().unwrap().as_nanosecond()
}

fn at(calendar: &Calendar, text: &str) -> String {
    calendar.business_date(instant(text)).unwrap().to_string()
}

/// The date begins exactly at that instant: the instant before it belongs to an earlier date.
fn begins(calendar: &Calendar, text: &str, date: &str) {
    assert_eq!(at(calendar, text), date);
    let before = calendar.business_date(instant(text) - 1).unwrap();
    assert!(before.to_string().as_str() < date, "{before} is not before {date}");
}

#[test]
fn without_rules_days_are_those_of_utc() {
    let utc = Calendar::utc();
    begins(&utc, "2026-11-22T00:00:00Z", "2026-11-22");
    begins(&utc, "1900-01-02T00:00:00Z", "1900-01-02");
    assert_eq!(utc.business_date(instant("1900-01-01T00:00:00Z")), Ok(BusinessDate::MIN));
    assert_eq!(utc.business_date(instant("1900-01-01T00:00:00Z") - 1), Err(NoDate::OutOfBounds));
    assert_eq!(utc.business_date(instant("2200-01-01T00:00:00Z") - 1), Ok(BusinessDate::MAX));
    assert_eq!(utc.business_date(instant("2200-01-01T00:00:00Z")), Err(NoDate::OutOfBounds));
    assert_eq!(utc.business_date(i128::MAX), Err(NoDate::OutOfBounds));
    assert_eq!(utc.business_date(i128::MIN), Err(NoDate::OutOfBounds));
}

#[test]
fn days_of_23_and_25_hours() {
    let new_york = calendar("America/New_York", 0);
    begins(&new_york, "2026-03-08T05:00:00Z", "2026-03-08");
    begins(&new_york, "2026-03-09T04:00:00Z", "2026-03-09");
    begins(&new_york, "2026-11-01T04:00:00Z", "2026-11-01");
    begins(&new_york, "2026-11-02T05:00:00Z", "2026-11-02");
}

#[test]
fn before_the_cut_off_it_is_still_the_day_before() {
    let bar = calendar("America/Sao_Paulo", 5 * 60);
    assert_eq!(at(&bar, "2026-11-22T07:59:59.999999999Z"), "2026-11-21");
    begins(&bar, "2026-11-22T08:00:00Z", "2026-11-22");
    let last_minute = calendar("UTC", 1_439);
    begins(&last_minute, "2026-11-22T23:59:00Z", "2026-11-22");
}

#[test]
fn zones_half_a_day_and_more_away() {
    begins(&calendar("Etc/GMT+12", 0), "2026-11-22T12:00:00Z", "2026-11-22");
    begins(&calendar("Pacific/Kiritimati", 0), "2026-11-21T10:00:00Z", "2026-11-22");
    begins(&calendar("Etc/GMT+12", 1_439), "2026-11-23T11:59:00Z", "2026-11-22");
}

#[test]
fn a_cut_off_that_does_not_exist_or_exists_twice() {
    // Midnight of 2018-11-04 does not exist in São Paulo: 23:59:59 is followed by 01:00.
    begins(&calendar("America/Sao_Paulo", 0), "2018-11-04T03:00:00Z", "2018-11-04");
    begins(&calendar("America/Sao_Paulo", 30), "2018-11-04T03:00:00Z", "2018-11-04");
    // In New York 02:30 does not exist on 2026-03-08, and 01:30 exists twice on 2026-11-01.
    begins(&calendar("America/New_York", 150), "2026-03-08T07:00:00Z", "2026-03-08");
    begins(&calendar("America/New_York", 90), "2026-11-01T05:30:00Z", "2026-11-01");
    assert_eq!(at(&calendar("America/New_York", 90), "2026-11-01T06:29:00Z"), "2026-11-01");
    // Samoa had no 2011-12-30.
    assert_eq!(at(&calendar("Pacific/Apia", 0), "2011-12-30T09:59:59Z"), "2011-12-29");
    assert_eq!(at(&calendar("Pacific/Apia", 0), "2011-12-30T10:00:00Z"), "2011-12-31");
}

#[test]
fn a_rule_holds_from_its_date_on() {
    let moved =
        Calendar::new(vec![rule("2026-11-22", "Asia/Tokyo", 0), rule("2026-11-01", "America/Sao_Paulo", 0)]).unwrap();
    begins(&moved, "2026-10-31T00:00:00Z", "2026-10-31");
    begins(&moved, "2026-11-01T03:00:00Z", "2026-11-01");
    begins(&moved, "2026-11-21T03:00:00Z", "2026-11-21");
    begins(&moved, "2026-11-21T15:00:00Z", "2026-11-22");
    begins(&moved, "2026-11-22T15:00:00Z", "2026-11-23");
}

#[test]
fn rules_that_make_no_calendar_are_refused() {
    let twice = Calendar::new(vec![rule("2026-11-22", "UTC", 0), rule("2026-11-22", "Asia/Tokyo", 0)]);
    assert_eq!(twice.unwrap_err(), CalendarError::Twice("2026-11-22".to_owned()));
    let unknown = Calendar::new(vec![rule("2026-11-22", "America/Sao_Polo", 0)]);
    assert_eq!(unknown.unwrap_err(), CalendarError::UnknownZone("America/Sao_Polo".to_owned()));
    for minutes in [1_440, u16::MAX] {
        assert_eq!(Calendar::new(vec![rule("2026-11-22", "UTC", minutes)]).unwrap_err(), CalendarError::CutOff);
    }
}

fn with_version(rule: CalendarRule, version: &str) -> CalendarRule {
    CalendarRule { zone_version: Some(version.parse().unwrap()), ..rule }
}

const OTHER: &str = "0123456789abcdef";

#[test]
fn a_zone_whose_data_may_change_needs_a_version() {
    for free in ["UTC", "Etc/GMT+12", "Etc/UTC"] {
        let rule = CalendarRule { zone_version: None, ..rule("2026-01-01", free, 0) };
        assert!(Calendar::new(vec![rule]).is_ok(), "{free}");
    }
    let without = CalendarRule { zone_version: None, ..rule("2026-01-01", "Asia/Tokyo", 0) };
    let refused = Calendar::new(vec![without]).unwrap_err();
    let version = ZoneVersion::of_this_program("Asia/Tokyo").unwrap();
    assert_eq!(refused, CalendarError::MissingVersion { zone: "Asia/Tokyo".to_owned(), version });
    assert!(refused.to_string().contains(&format!("zone_version = \"{version}\"")), "{refused}");
}

/// Two programs with other data of the same zone, and rules that hand over from one version to the other: exactly one of the
/// programs dates each instant.
#[test]
fn one_version_alone_dates_each_instant() {
    let (zone, cut_off, handover) = ("America/Sao_Paulo", 240, "2026-12-10");
    let (ours, first) = (rule("2026-01-01", zone, cut_off), rule(handover, zone, cut_off));
    let older = Calendar::new(vec![ours.clone(), with_version(first.clone(), OTHER)]).unwrap();
    let newer = Calendar::new(vec![with_version(ours.clone(), OTHER), first]).unwrap();
    let alone = Calendar::new(vec![ours]).unwrap();
    let midnight = instant("2026-12-10T00:00:00Z");
    for quarters in -400..400 {
        let instant_ns = midnight + quarters * QUARTER_NS;
        let expected = alone.business_date(instant_ns);
        let told = [older.business_date(instant_ns), newer.business_date(instant_ns)];
        let unknown = Err(NoDate::OtherVersion);
        assert_eq!(told, if quarters < 0 { [expected, unknown] } else { [unknown, expected] }, "{quarters}");
    }
    assert_eq!(
        newer.business_date(instant("2025-12-01T00:00:00Z")),
        Ok(date("2025-12-01")),
        "days before all rules are UTC's"
    );
}

/// A program dates instants as long as no date of a rule that it cannot compute may have begun.
#[test]
fn a_rule_of_another_version_hides_its_own_dates_only() {
    let calendar =
        Calendar::new(vec![rule("2026-01-01", "UTC", 0), with_version(rule("2026-12-10", "Asia/Tokyo", 0), OTHER)])
            .unwrap();
    assert_eq!(at(&calendar, "2026-12-08T21:59:59Z"), "2026-12-08");
    for hidden in ["2026-12-08T22:00:00Z", "2026-12-10T12:00:00Z", "2150-01-01T00:00:00Z"] {
        assert_eq!(calendar.business_date(instant(hidden)), Err(NoDate::OtherVersion), "{hidden}");
    }
}

const ZONES: [&str; 10] = [
    "America/Sao_Paulo",
    "America/New_York",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Europe/Lisbon",
    "Africa/Casablanca",
    "UTC",
];

/// Rules from 1996 on, with cut-offs on the quarter of an hour.
fn rules() -> impl Strategy<Value = Vec<CalendarRule>> {
    let rule = (9_500..21_000_i32, proptest::sample::select(&ZONES[..]), 0..96_u16);
    proptest::collection::btree_map(9_500..21_000_i32, rule, 0..5).prop_map(|rules| {
        let to_rule = |(days, (_, zone, quarters)): (i32, (i32, &str, u16))| CalendarRule {
            effective_from: BusinessDate::from_days(days).unwrap(),
            zone: zone.to_owned(),
            zone_version: ZoneVersion::of_this_program(zone).ok(),
            cut_off_minutes: quarters * 15,
        };
        rules.into_iter().map(to_rule).collect()
    })
}

const QUARTER_NS: i128 = 15 * 60 * 1_000_000_000;

/// The first quarter of an hour at which the clock of the date's rule shows its cut-off or later, found by looking at it.
fn naive_beginning(rules: &[CalendarRule], days: i32) -> i128 {
    let midnight = i128::from(days) * DAY_NS;
    let Some(rule) = rules.iter().rev().find(|rule| rule.effective_from.days() <= days) else { return midnight };
    let zone = TimeZone::get(&rule.zone).unwrap();
    let cut_off = civil_date(days).unwrap().at(0, 0, 0, 0) + jiff::Span::new().minutes(rule.cut_off_minutes);
    let shows_it = |instant: &i128| zone.to_datetime(Timestamp::from_nanosecond(*instant).unwrap()) >= cut_off;
    (-80..).map(|quarters| midnight + quarters * QUARTER_NS).find(shows_it).unwrap()
}

fn naive_date(rules: &[CalendarRule], instant_ns: i128) -> Option<BusinessDate> {
    let near = i32::try_from(instant_ns.div_euclid(DAY_NS)).unwrap();
    let begun = (near - 8..near + 8).filter(|days| naive_beginning(rules, *days) <= instant_ns).max();
    BusinessDate::from_days(begun.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn dates_agree_with_a_clock_that_is_watched(rules in rules(), instants in instants(12)) {
        let calendar = Calendar::new(rules.clone()).unwrap();
        for instant_ns in around(&rules, instants) {
            prop_assert_eq!(calendar.business_date(instant_ns).ok(), naive_date(&rules, instant_ns), "{}", instant_ns);
        }
    }

    #[test]
    fn dates_never_go_backwards(rules in rules(), instants in instants(400)) {
        let calendar = Calendar::new(rules.clone()).unwrap();
        let mut instants = around(&rules, instants);
        instants.sort_unstable();
        let dates: Vec<_> = instants.iter().map(|instant_ns| calendar.business_date(*instant_ns).unwrap()).collect();
        prop_assert!(dates.is_sorted(), "{:?}", dates);
    }
}

/// Instants as (days, nanoseconds of a day), to be placed anywhere or near a rule's date.
fn instants(count: usize) -> impl Strategy<Value = Vec<(i32, i128)>> {
    proptest::collection::vec((9_500..21_000_i32, 0..3 * DAY_NS), count)
}

/// Every second instant is moved to where a rule takes effect.
fn around(rules: &[CalendarRule], instants: Vec<(i32, i128)>) -> Vec<i128> {
    let place = |(index, (days, offset)): (usize, (i32, i128))| {
        let near = rules.get(index / 2 % rules.len().max(1)).filter(|_| index % 2 == 0);
        let days = near.map_or(days, |rule| rule.effective_from.days() - 2);
        i128::from(days) * DAY_NS + offset
    };
    instants.into_iter().enumerate().map(place).collect()
}
