use std::collections::BTreeMap;

use ledger::statement::days;
use ledger::{
    Balance, BusinessDate, Digest, Grain, Launch, OpeningPlan, Place, RowKey, Seen, SeenSet, WindowKey, opening,
    parse_logged,
};
use proptest::prelude::*;

use crate::log::{Sketch, any_log};
use crate::naive::{self, Verdict};

type Rows = BTreeMap<RowKey, Balance>;

/// Windows and rows as a worker keeps them.
#[derive(Default)]
struct Fold {
    windows: BTreeMap<WindowKey, SeenSet>,
    rows: BTreeMap<String, Rows>,
    facts: BTreeMap<WindowKey, Vec<(Digest, Digest, Place)>>,
}

impl Fold {
    fn of(log: &[(Place, Sketch)]) -> (Self, Vec<Verdict>) {
        let mut fold = Self::default();
        let verdicts = log.iter().map(|(place, entry)| fold.apply(*place, &launch(entry))).collect();
        (fold, verdicts)
    }

    fn apply(&mut self, place: Place, launch: &Launch) -> Verdict {
        let window = self.windows.entry(window_key(launch)).or_default();
        let seen = window.check(launch.id_digest, launch.content_digest, place);
        if seen == Seen::New {
            window.insert(launch.id_digest, launch.content_digest, place);
            self.facts.entry(window_key(launch)).or_default().push((launch.id_digest, launch.content_digest, place));
            self.count(place, launch);
        }
        verdict(seen)
    }

    fn count(&mut self, place: Place, launch: &Launch) {
        let rows = self.rows.entry(launch.account.to_string()).or_default();
        for grain in Grain::ALL {
            let key = RowKey { grain, start: grain.start(launch.date), currency: launch.currency };
            let row = rows.entry(key).or_default();
            row.totals.add(launch.kind, launch.amount);
            row.changed = place;
            row.applied = place.sequence;
        }
    }
}

fn launch(entry: &Sketch) -> Launch {
    parse_logged(entry.line().as_bytes()).unwrap()
}

fn window_key(launch: &Launch) -> WindowKey {
    WindowKey { tenant: launch.tenant.clone(), account: launch.account.clone(), date: launch.date }
}

fn verdict(seen: Seen) -> Verdict {
    match seen {
        Seen::New => Verdict::Counts,
        Seen::Duplicate { first } => Verdict::Duplicate(first),
        Seen::Conflict { first } => Verdict::Conflict(first),
    }
}

/// Closing balances of a day as a query states them, or nothing for an account without launches.
fn stated_closing(rows: &Rows, date: BusinessDate, today: BusinessDate) -> BTreeMap<String, i128> {
    let plan = OpeningPlan::new(date, today);
    let lines = days(date, date, &opening(&plan, rows), rows, true);
    let currencies = lines.iter().flat_map(|line| &line.currencies);
    currencies.map(|line| (line.currency.to_string(), line.closing)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_id_of_a_window_counts_once(log in any_log()) {
        let (fold, verdicts) = Fold::of(&log);
        prop_assert_eq!(verdicts, naive::verdicts(&log));
        let launches: u64 = fold.rows.values().flatten().filter(|(key, _)| key.grain == Grain::Lifetime)
            .map(|(_, row)| row.totals.count()).sum();
        prop_assert_eq!(launches, naive::counted(&log).len() as u64);
    }

    #[test]
    fn a_replay_judges_as_before_though_its_windows_are_ahead(log in any_log(), from in any::<prop::sample::Index>()) {
        let (fold, verdicts) = Fold::of(&log);
        let mut replay = Fold::default();
        for (key, facts) in &fold.facts {
            replay.windows.insert(key.clone(), SeenSet::load(facts.iter().rev().copied()));
        }
        let from = if log.is_empty() { 0 } else { from.index(log.len()) };
        let again: Vec<Verdict> = log[from..].iter().map(|(place, entry)| replay.apply(*place, &launch(entry))).collect();
        prop_assert_eq!(&again[..], &verdicts[from..]);
        for (key, window) in &replay.windows {
            prop_assert_eq!(window.len(), fold.windows[key].len());
        }
    }

    #[test]
    fn days_close_with_the_sum_of_what_counts(log in any_log(), date in "2026-1[0-2]-[0-2][1-9]|1900-01-01|2199-12-31", today in "20[0-9]{2}-1[0-2]-1[0-9]") {
        let (fold, _) = Fold::of(&log);
        let [day, today] = [&date, &today].map(|text| BusinessDate::parse(text).unwrap());
        for (account, rows) in &fold.rows {
            prop_assert_eq!(stated_closing(rows, day, today), naive::closing(&log, account, &date));
        }
    }
}
