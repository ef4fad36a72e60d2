//! Near rows: how a store that pays for each row it writes keeps the rows of an owner, an account or a tenant's lane.
//!
//! A launch changes a day, its month and the lifetime, nearly always the same as the launch before it. These **near rows**
//! stand in the owner's own row, so that a launch writes one row instead of four, and a day is read with one read. When another
//! day or month is written the former moves out into a row of its own, a **far row**. A near row is the newest of its key: a
//! far row of the same key is from before.

#[cfg(test)]
mod tests;

use ledger::{Balance, BusinessDate, Currency, Grain, RowKey};

use super::Ranges;

/// A currency has three near rows. Owners of many currencies have the others as far rows: what is written with every launch
/// stays short.
pub const MOST_NEAR_ROWS: usize = 12;

/// The near rows of an owner, and what is known of its far ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearRows {
    currencies: Vec<Currency>,
    near: Vec<(RowKey, Balance)>,
}

/// The far rows of an owner, wherever they are stored.
pub trait FarRows {
    /// Why they cannot be read.
    type Error;

    /// The row of a key.
    ///
    /// # Errors
    /// The store's own.
    fn row(&mut self, key: &RowKey) -> Result<Option<Balance>, Self::Error>;

    /// Hands over the rows of a grain whose start lies in an inclusive range, unless they are `known`.
    ///
    /// # Errors
    /// The store's own.
    fn rows(
        &mut self,
        range: (Grain, BusinessDate, BusinessDate),
        is_known: &dyn Fn(&RowKey) -> bool,
        found: &mut Vec<(RowKey, Balance)>,
    ) -> Result<(), Self::Error>;
}

/// Rules that the simulation may leave out.
#[derive(Clone, Copy, Debug)]
pub struct NearRules {
    /// A far row is not taken where there is a near one of its key.
    pub(crate) near_rows_are_newer: bool,
}

impl NearRules {
    /// All rules.
    pub const ALL: Self = Self { near_rows_are_newer: true };
}

impl NearRows {
    /// Of an owner of whom nothing is stored.
    pub const fn new() -> Self {
        Self { currencies: Vec::new(), near: Vec::new() }
    }

    /// Becomes as new; its lists keep their room.
    pub fn clear(&mut self) {
        self.currencies.clear();
        self.near.clear();
    }

    /// Every currency that the owner has a row of, so that its rows are found by single reads instead of scans; in order.
    pub fn currencies(&self) -> &[Currency] {
        &self.currencies
    }

    /// Knows a currency, as it was stored.
    pub fn add_currency(&mut self, currency: Currency) {
        if let Err(index) = self.currencies.binary_search(&currency) {
            self.currencies.insert(index, currency);
        }
    }

    /// Takes a near row back, as it was stored.
    pub fn restore(&mut self, key: RowKey, balance: Balance) {
        self.near.push((key, balance));
    }

    /// The near row of a key.
    pub fn get(&self, key: &RowKey) -> Option<&Balance> {
        self.near.iter().find(|(near, _)| near == key).map(|(_, balance)| balance)
    }

    /// All near rows.
    pub fn all(&self) -> &[(RowKey, Balance)] {
        &self.near
    }

    /// Those of these rows that are newer than what is stored of them.
    ///
    /// # Errors
    /// What `stamp`, which gives that of a far row, meets.
    pub fn newer<E>(
        &self,
        rows: &[(RowKey, Balance)],
        mut stamp: impl FnMut(&RowKey) -> Result<Option<u64>, E>,
    ) -> Result<Vec<(RowKey, Balance)>, E> {
        let mut newer = Vec::with_capacity(rows.len());
        for (key, balance) in rows {
            let stored = match self.get(key) {
                Some(near) => Some(near.applied),
                None => stamp(key)?,
            };
            if stored.is_none_or(|stored| stored < balance.applied) {
                newer.push((*key, *balance));
            }
        }
        Ok(newer)
    }

    /// Takes rows in, each newer than what is stored of it. Returns those that are to be written as far rows.
    pub fn take(&mut self, rows: &[(RowKey, Balance)]) -> Vec<(RowKey, Balance)> {
        let starts = NearStarts::of(rows);
        let (mut coming, mut far) = (Vec::new(), Vec::new());
        for (key, balance) in rows {
            self.add_currency(key.currency);
            match self.near.iter_mut().find(|(near, _)| near == key) {
                Some((_, stored)) => *stored = *balance,
                None if starts.hold(key) => coming.push((*key, *balance)),
                None => far.push((*key, *balance)),
            }
        }
        far.extend(self.near.extract_if(.., |(key, _)| !starts.hold(key)));
        let room = MOST_NEAR_ROWS.saturating_sub(self.near.len()).min(coming.len());
        far.extend(coming.split_off(room));
        self.near.extend(coming);
        far
    }

    /// Adds the rows of one start, by one read a currency at most: a scan costs several times as much.
    ///
    /// # Errors
    /// The store's own.
    pub fn of_start<Far: FarRows>(
        &self,
        (grain, start): (Grain, BusinessDate),
        far: &mut Far,
        found: &mut Vec<(RowKey, Balance)>,
    ) -> Result<(), Far::Error> {
        for currency in &self.currencies {
            let key = RowKey { grain, start, currency: *currency };
            let row = match self.get(&key) {
                Some(near) => Some(*near),
                None => far.row(&key)?,
            };
            found.extend(row.map(|balance| (key, balance)));
        }
        Ok(())
    }

    /// The rows of these ranges, in the order of their keys, without repeats.
    ///
    /// # Errors
    /// The store's own.
    pub fn view<Far: FarRows>(
        &self,
        ranges: &Ranges,
        far: &mut Far,
        rules: NearRules,
    ) -> Result<Vec<(RowKey, Balance)>, Far::Error> {
        let mut found = Vec::new();
        for &(grain, from, to) in ranges {
            if from == to {
                self.of_start((grain, from), far, &mut found)?;
            } else if from < to {
                let is_near = |key: &RowKey| rules.near_rows_are_newer && self.get(key).is_some();
                far.rows((grain, from, to), &is_near, &mut found)?;
                let is_wanted = |(key, _): &&(RowKey, Balance)| key.grain == grain && (from..=to).contains(&key.start);
                found.extend(self.near.iter().filter(is_wanted));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        found.dedup_by_key(|(key, _)| *key);
        Ok(found)
    }
}

/// The day and the month whose rows are to be near; the present ones where none is named.
struct NearStarts {
    day: Option<BusinessDate>,
    month: Option<BusinessDate>,
}

impl NearStarts {
    /// Those of the latest rows written.
    fn of(rows: &[(RowKey, Balance)]) -> Self {
        let latest = |grain| rows.iter().filter(|(key, _)| key.grain == grain).map(|(key, _)| key.start).max();
        Self { day: latest(Grain::Day), month: latest(Grain::Month) }
    }

    fn hold(&self, key: &RowKey) -> bool {
        let start = match key.grain {
            Grain::Day => self.day,
            Grain::Month => self.month,
            Grain::Lifetime => None,
        };
        start.is_none_or(|start| start == key.start)
    }
}
