//! Balance rows: what is stored of a day, a month or a lifetime of an account.

use serde::{Deserialize, Serialize};

use crate::{Amount, BusinessDate, Currency, Kind, Place};

/// Totals of one currency over some set of launches, in minor units.
///
/// They cannot overflow: a launch is at most 10^15 minor units, so that `i128` holds more launches than a log can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Sum of all credits.
    pub credits: i128,
    /// Sum of all debits, as a positive number.
    pub debits: i128,
    /// Number of credits.
    pub credit_count: u64,
    /// Number of debits.
    pub debit_count: u64,
}

impl Totals {
    /// Counts one launch.
    pub fn add(&mut self, kind: Kind, amount: Amount) {
        let minor_units = i128::from(amount.minor_units());
        match kind {
            Kind::Credit => {
                self.credits += minor_units;
                self.credit_count += 1;
            }
            Kind::Debit => {
                self.debits += minor_units;
                self.debit_count += 1;
            }
        }
    }

    /// Credits less debits.
    pub fn net(&self) -> i128 {
        self.credits - self.debits
    }

    /// Number of launches.
    pub fn count(&self) -> u64 {
        self.credit_count + self.debit_count
    }
}

/// How much time a balance row covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grain {
    /// One business date; `start` is that date.
    Day,
    /// One calendar month; `start` is its first day.
    Month,
    /// All dates; `start` is [`BusinessDate::MIN`].
    Lifetime,
}

impl Grain {
    /// All grains, in the order of their rows.
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Lifetime];

    /// The start of the row of this grain that `date` counts in.
    pub fn start(self, date: BusinessDate) -> BusinessDate {
        match self {
            Self::Day => date,
            Self::Month => date.first_of_month(),
            Self::Lifetime => BusinessDate::MIN,
        }
    }
}

/// Which row of an account, or of a tenant's lane for a roll-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// Day, month or lifetime.
    pub grain: Grain,
    /// First date that the row covers.
    pub start: BusinessDate,
    /// Its currency.
    pub currency: Currency,
}

/// A balance row without its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The sums.
    pub totals: Totals,
    /// Place of the last launch that changed this row.
    pub changed: Place,
    /// The row's stamp: it includes every launch of its lane up to this sequence.
    pub applied: u64,
}
