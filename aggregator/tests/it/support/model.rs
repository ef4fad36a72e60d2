//! What must come out: a naive fold that keeps everything in maps and forgets nothing.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{AccountKey, BusinessDate, Currency, Grain, RowKey, Totals, WindowKey};

use super::{Line, launches::Launch};

type Content = (bool, u64, &'static str, &'static str);

/// The log so far, folded.
#[derive(Clone, Default)]
pub struct Model {
    seen: BTreeMap<(WindowKey, String), Content>,
    pub rows: BTreeMap<AccountKey, BTreeMap<RowKey, Totals>>,
    pub duplicates: u64,
    pub conflicts: u64,
    /// Bad lines by reason, conflicts included.
    pub parked: BTreeMap<&'static str, u64>,
    pub parked_messages: u64,
    pub empty_messages: u64,
}

impl Model {
    /// The next message of the log.
    pub fn add(&mut self, lane: u16, lines: &[Line]) {
        let parked_before: u64 = self.parked.values().sum();
        lines.iter().for_each(|line| self.add_line(lane, line));
        self.parked_messages += u64::from(self.parked.values().sum::<u64>() > parked_before);
        self.empty_messages += u64::from(lines.iter().all(|line| matches!(line, Line::Blank)));
    }

    fn add_line(&mut self, lane: u16, line: &Line) {
        match line {
            Line::Blank => {}
            Line::Bad { reason, .. } => self.park(reason),
            Line::Launch(launch) if launch.lane() != lane => self.park("wrong_lane"),
            Line::Launch(launch) => self.add_launch(launch),
        }
    }

    fn park(&mut self, reason: &'static str) {
        *self.parked.entry(reason).or_default() += 1;
    }

    fn add_launch(&mut self, launch: &Launch) {
        let key = launch.key();
        let date = BusinessDate::parse(&launch.date).unwrap();
        let window = WindowKey { tenant: key.tenant.clone(), account: key.account.clone(), date };
        let content = (launch.is_credit, launch.cents, launch.currency, launch.description);
        match self.seen.get(&(window.clone(), launch.id.clone())) {
            Some(first) if *first == content => self.duplicates += 1,
            Some(_) => {
                self.conflicts += 1;
                self.park("conflict");
            }
            None => {
                self.seen.insert((window, launch.id.clone()), content);
                self.count(&key, date, launch);
            }
        }
    }

    fn count(&mut self, key: &AccountKey, date: BusinessDate, launch: &Launch) {
        let currency = Currency::parse(launch.currency).unwrap();
        let rows = self.rows.entry(key.clone()).or_default();
        for grain in Grain::ALL {
            let totals = rows.entry(RowKey { grain, start: grain.start(date), currency }).or_default();
            if launch.is_credit {
                totals.credits += i128::from(launch.cents);
                totals.credit_count += 1;
            } else {
                totals.debits += i128::from(launch.cents);
                totals.debit_count += 1;
            }
        }
    }

    /// Launches that counted.
    pub fn launches(&self) -> u64 {
        u64::try_from(self.seen.len()).unwrap()
    }

    /// Windows with the number of their launches.
    pub fn windows(&self) -> BTreeMap<WindowKey, usize> {
        let mut windows = BTreeMap::new();
        self.seen.keys().for_each(|(window, _)| *windows.entry(window.clone()).or_default() += 1);
        windows
    }

    pub fn tenants(&self) -> BTreeSet<ledger::Tenant> {
        self.rows.keys().map(|key| key.tenant.clone()).collect()
    }
}
