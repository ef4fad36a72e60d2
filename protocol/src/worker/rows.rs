//! Rows as a worker holds them.

use ledger::{Balance, BusinessDate, Currency, Fact, Grain, RowKey};

use super::{config::Rules, memory::ALLOCATION_BYTES};

/// One balance row, with the stamp that decides which launches it already holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldRow {
    pub(crate) balance: Balance,
    /// The stamp with which the row was loaded; 0 when the store has none.
    loaded_stamp: u64,
    dirty: bool,
}

impl HeldRow {
    /// Counts a launch, unless the stored row held it when it was loaded.
    ///
    /// The stamp as loaded decides, not one advanced by lines before: several lines of one message share a sequence.
    fn apply(&mut self, fact: &Fact, rules: Rules) {
        if rules.apply_above_stamp && fact.place.sequence <= self.loaded_stamp {
            return;
        }
        self.balance.totals.add(fact.kind, fact.amount);
        self.balance.changed = self.balance.changed.max(fact.place);
        self.dirty = true;
        if !rules.stamp_as_loaded {
            self.loaded_stamp = fact.place.sequence;
        }
    }
}

/// The rows of one owner, grain and start, of all currencies.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowGroup {
    pub(crate) is_loaded: bool,
    /// Few: a list beats a map.
    rows: Vec<(Currency, HeldRow)>,
    dirty: bool,
    /// Bytes that the budget knows of.
    counted_bytes: u32,
}

impl RowGroup {
    pub(crate) fn install(&mut self, currency: Currency, balance: Balance) {
        self.push(currency, HeldRow { balance, loaded_stamp: balance.applied, dirty: false });
    }

    /// Most groups are of one currency, and stay so: a list that grows by itself would begin with room for four.
    fn push(&mut self, currency: Currency, row: HeldRow) {
        self.rows.reserve_exact(1);
        self.rows.push((currency, row));
    }

    pub(crate) fn balance(&self, currency: Currency) -> Option<&Balance> {
        self.rows.iter().find(|(known, _)| *known == currency).map(|(_, row)| &row.balance)
    }

    pub(crate) fn balances(&self) -> impl Iterator<Item = (Currency, &Balance)> {
        self.rows.iter().map(|(currency, row)| (*currency, &row.balance))
    }

    pub(crate) fn apply(&mut self, fact: &Fact, rules: Rules) {
        let row = match self.rows.iter_mut().position(|(currency, _)| *currency == fact.currency) {
            Some(index) => &mut self.rows[index].1,
            None => {
                self.push(fact.currency, HeldRow::default());
                let last = self.rows.len() - 1;
                &mut self.rows[last].1
            }
        };
        row.apply(fact, rules);
        self.dirty |= row.dirty;
    }

    /// Stamps the changed rows and hands them over.
    pub(crate) fn take_dirty(
        &mut self,
        stamp: u64,
        grain: Grain,
        start: BusinessDate,
        out: &mut Vec<(RowKey, Balance)>,
    ) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        for (currency, row) in &mut self.rows {
            if std::mem::take(&mut row.dirty) {
                row.balance.applied = stamp;
                out.push((RowKey { grain, start, currency: *currency }, row.balance));
            }
        }
    }

    /// Bytes of its rows, which stand outside of it.
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.rows.capacity() == 0 {
            0
        } else {
            self.rows.capacity() * size_of::<(Currency, HeldRow)>() + ALLOCATION_BYTES
        }
    }

    /// By how many bytes it has grown since the budget last asked.
    pub(crate) fn growth(&mut self) -> usize {
        let bytes = self.heap_bytes();
        // Rows are never taken out, and there are no more than currencies.
        let growth = bytes.saturating_sub(self.counted_bytes as usize);
        self.counted_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        growth
    }
}
