//! An owner's rows as the embedded store keeps and reads them: near ones, and far ones.

use std::{collections::BTreeMap, convert::Infallible};

use ledger::{Balance, BusinessDate, Grain, RowKey};

use super::{OwnerRows, StoreRules};
use crate::store_reading::{
    Ranges,
    near::{FarRows, NearRows, NearRules},
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    near: NearRows,
    /// Nothing is removed when a row becomes near.
    far: BTreeMap<RowKey, Balance>,
}

impl Split {
    pub(super) fn put(&mut self, rows: &[(RowKey, Balance)], rules: StoreRules) {
        let Self { near, far } = self;
        let Ok(newer) = near.newer(rows, |key| Ok::<_, Infallible>(far.get(key).map(|row| row.applied)));
        let rows = if rules.put_if_newer { &newer } else { rows };
        far.extend(near.take(rows));
    }

    /// Miscounts a row, wherever it stands.
    fn replace(&mut self, key: RowKey, balance: Balance) {
        if self.near.get(&key).is_some() {
            let near: Vec<_> = self.near.all().to_vec();
            let currencies = self.near.currencies().to_vec();
            self.near = NearRows::new();
            currencies.into_iter().for_each(|currency| self.near.add_currency(currency));
            for (known, row) in near {
                self.near.restore(known, if known == key { balance } else { row });
            }
        } else {
            self.far.insert(key, balance);
        }
    }
}

impl OwnerRows {
    /// The rows of these ranges, out of near and far ones.
    pub(crate) fn view_split(&self, ranges: &Ranges, rules: NearRules) -> Vec<(RowKey, Balance)> {
        let Ok(rows) = self.split.near.view(ranges, &mut &self.split.far, rules);
        rows
    }

    /// Adds the rows of one start, out of near and far ones.
    pub(crate) fn add_split(&self, start: (Grain, BusinessDate), rows: &mut Vec<(RowKey, Balance)>) {
        let Ok(()) = self.split.near.of_start(start, &mut &self.split.far, rows);
    }

    /// Miscounts the credits of a row.
    pub(crate) fn miscount(&mut self, key: &RowKey) {
        let Some(balance) = self.rows.get_mut(key) else { return };
        balance.totals.credit_count += 1;
        self.split.replace(*key, *balance);
    }
}

impl FarRows for &BTreeMap<RowKey, Balance> {
    type Error = Infallible;

    fn row(&mut self, key: &RowKey) -> Result<Option<Balance>, Infallible> {
        Ok(self.get(key).copied())
    }

    fn rows(
        &mut self,
        (grain, from, to): (Grain, BusinessDate, BusinessDate),
        is_known: &dyn Fn(&RowKey) -> bool,
        found: &mut Vec<(RowKey, Balance)>,
    ) -> Result<(), Infallible> {
        let is_wanted = |key: &RowKey| key.grain == grain && (from..=to).contains(&key.start) && !is_known(key);
        found.extend(self.iter().filter(|(key, _)| is_wanted(key)).map(|(key, balance)| (*key, *balance)));
        Ok(())
    }
}
