//! A naive fold of one partition, kept by message: what everything else is compared with.

use std::collections::{BTreeMap, HashMap};

use super::{
    Day,
    model::{ACCOUNTS, Launch, Line, partition_of},
};

/// Sequence of the message, and line in it, counted from 1.
pub(crate) type At = (u64, u32);

/// Whose row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// Index in [`ACCOUNTS`].
    Account(usize),
    /// A tenant's accounts of this partition.
    Tenant(&'static str),
}

/// Which days a row covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Span {
    Day(Day),
    /// Year and month.
    Month(i32, u32),
    Lifetime,
}

/// Owner, days and currency of a row.
pub(crate) type RowName = (Owner, Span, usize);

/// Sums in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) credits: i128,
    pub(crate) debits: i128,
    pub(crate) credit_count: u64,
    pub(crate) debit_count: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, launch: &Launch) {
        let minor_units = i128::from(launch.minor_units);
        if launch.is_credit {
            self.credits += minor_units;
            self.credit_count += 1;
        } else {
            self.debits += minor_units;
            self.debit_count += 1;
        }
    }
}

/// Kind, amount and currency: the content of the simulation's launches.
type Content = (bool, i64, usize);

/// What a partition of the log means.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) partition: u16,
    seen: HashMap<(usize, Day, u32), Content>,
    /// Launches that count.
    pub(crate) counted: BTreeMap<At, Launch>,
    /// The same by account and day.
    pub(crate) windows: BTreeMap<(usize, Day), Vec<At>>,
    /// Sums of each row after each launch that changed it.
    pub(crate) rows: BTreeMap<RowName, Vec<(At, Sums)>>,
    /// Bad lines by message.
    pub(crate) bad: BTreeMap<u64, Vec<u32>>,
    /// Accounts and days of each message's entries, whatever became of them.
    pub(crate) touched: BTreeMap<u64, Vec<(usize, Day)>>,
}

impl Truth {
    pub(crate) fn new(partition: u16) -> Self {
        Self {
            partition,
            seen: HashMap::new(),
            counted: BTreeMap::new(),
            windows: BTreeMap::new(),
            rows: BTreeMap::new(),
            bad: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Folds a message of this partition.
    pub(crate) fn append(&mut self, sequence: u64, lines: &[Line], partitions: u16) {
        for (line, number) in lines.iter().zip(1..) {
            let is_good = match line {
                Line::Blank => true,
                Line::Garbage => false,
                Line::Launch(launch) if partition_of(launch.account, partitions) != self.partition => false,
                Line::Launch(launch) => self.fold((sequence, number), launch),
            };
            if !is_good {
                self.bad.entry(sequence).or_default().push(number);
            }
        }
    }

    /// False when it is a conflict.
    fn fold(&mut self, at: At, launch: &Launch) -> bool {
        self.touched.entry(at.0).or_default().push((launch.account, launch.day));
        let content = (launch.is_credit, launch.minor_units, launch.currency);
        let id = (launch.account, launch.day, launch.id);
        if let Some(known) = self.seen.get(&id) {
            return *known == content;
        }
        self.seen.insert(id, content);
        let day = launch.day;
        for owner in [Owner::Account(launch.account), Owner::Tenant(ACCOUNTS[launch.account].0)] {
            for span in [Span::Day(day), Span::Month(day.year, day.month), Span::Lifetime] {
                let versions = self.rows.entry((owner, span, launch.currency)).or_default();
                let mut sums = versions.last().map_or_else(Sums::default, |(_, sums)| *sums);
                sums.add(launch);
                versions.push((at, sums));
            }
        }
        self.windows.entry((launch.account, day)).or_default().push(at);
        self.counted.insert(at, launch.clone());
        true
    }

    /// The row as the fold of everything up to a sequence has it, with its last change.
    pub(crate) fn row(&self, name: &RowName, upto: u64) -> Option<(At, Sums)> {
        version(self.rows.get(name)?, upto)
    }

    /// The rows of an account as of a sequence.
    pub(crate) fn account_rows(&self, account: usize, upto: u64) -> BTreeMap<(Span, usize), Sums> {
        let rows = self.rows.iter().filter(|((owner, ..), _)| *owner == Owner::Account(account));
        rows.filter_map(|((_, span, currency), versions)| {
            version(versions, upto).map(|(_, sums)| ((*span, *currency), sums))
        })
        .collect()
    }
}

/// The last version that holds nothing above a sequence.
pub(crate) fn version(versions: &[(At, Sums)], upto: u64) -> Option<(At, Sums)> {
    let count = versions.partition_point(|((sequence, _), _)| *sequence <= upto);
    count.checked_sub(1).map(|last| versions[last])
}
