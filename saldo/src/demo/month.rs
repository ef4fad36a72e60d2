//! The launches of a store's day. They follow from seed, store and date alone, so that any range of days agrees with any
//! other.

use ledger::{BusinessDate, Currency};
use serde_json::json;

use super::{
    random::Random,
    trades::{TRADES, Trade},
};

/// Sales of an hour grow to this many percent in a rush.
const RUSH_PERCENT: u64 = 300;
/// Sales of each weekday in percent, from Monday.
const WEEKDAY_PERCENT: [u64; 7] = [85, 90, 95, 100, 120, 140, 80];
/// Fees of card sales, in hundredths of a percent.
const CREDIT_CARD_FEE: u64 = 329;
const DEBIT_CARD_FEE: u64 = 149;
const HUNDREDTHS_OF_PERCENT: u64 = 10_000;

/// A store of the demo.
#[derive(Debug)]
pub struct Store {
    /// Its account.
    pub account: String,
    number: u64,
    seed: u64,
    trade: &'static Trade,
}

impl Store {
    /// The store of this number: kinds take turns.
    pub fn new(number: u16, seed: u64) -> Self {
        let kind = usize::from(number) % TRADES.len();
        let trade = TRADES.get(kind).unwrap_or(&TRADES[0]);
        let branch = usize::from(number) / TRADES.len() + 1;
        Self { account: format!("{}-{branch}", trade.name), number: u64::from(number), seed, trade }
    }
}

/// All launches of the day, one JSON object each.
pub fn launches_of_day(store: &Store, date: BusinessDate) -> Vec<String> {
    let parts = [store.seed, store.number, u64::from(date.days().unsigned_abs())];
    let mut day = Day { store, date, random: Random::of(&parts), lines: Vec::new(), sales: [0; 4] };
    if weekday(date) != 6 || store.trade.open_on_sundays {
        day.sell();
        day.pay_card_fees();
    }
    day.pay_suppliers();
    day.pay_monthly();
    day.lines
}

/// 0 for Monday to 6 for Sunday; 1970-01-01 was a Thursday.
fn weekday(date: BusinessDate) -> usize {
    usize::try_from((date.days() + 3).rem_euclid(7)).unwrap_or_default()
}

/// How a sale is paid, and how often out of a hundred.
const PAYMENTS: [(&str, u64); 4] = [("cash", 22), ("pix", 38), ("debit_card", 18), ("credit_card", 22)];

struct Day<'a> {
    store: &'a Store,
    date: BusinessDate,
    random: Random,
    lines: Vec<String>,
    /// Cents sold, by way of payment.
    sales: [u64; 4],
}

impl Day<'_> {
    fn sell(&mut self) {
        let (first, last) = self.store.trade.hours;
        for hour in first..last {
            let number = self.sales_in(hour);
            for sale in 0..number {
                let minute = sale * 60 / number.max(1);
                self.sell_once(hour, minute, sale);
            }
        }
    }

    fn sales_in(&mut self, hour: u64) -> u64 {
        let Trade { sales_an_hour, rush_hours, .. } = self.store.trade;
        let rush = if rush_hours.contains(&hour) { RUSH_PERCENT } else { 100 };
        let busy = WEEKDAY_PERCENT.get(weekday(self.date)).copied().unwrap_or(100);
        self.random.around(sales_an_hour * rush * busy / 10_000, 30)
    }

    fn sell_once(&mut self, hour: u64, minute: u64, sale: u64) {
        let (smallest, largest) = self.store.trade.ticket;
        // The smaller of two draws: most sales are small.
        let cents = self.random.between(smallest, largest).min(self.random.between(smallest, largest));
        let payment = self.payment();
        if let (Some(sold), Some((name, _))) = (self.sales.get_mut(payment), PAYMENTS.get(payment)) {
            *sold += cents;
            let at = format!("{}T{hour:02}:{minute:02}:00-03:00", self.date);
            let id = format!("sale-{}-{hour:02}-{sale:03}", self.store.seed);
            self.launch(&id, "credit", cents, "sale", json!({"occurred_at": at, "payment": name}));
        }
    }

    fn payment(&mut self) -> usize {
        let mut drawn = self.random.between(1, 100);
        for (index, (_, share)) in PAYMENTS.iter().enumerate() {
            if drawn <= *share {
                return index;
            }
            drawn -= share;
        }
        0
    }

    fn pay_card_fees(&mut self) {
        let [_, _, debit, credit] = self.sales;
        let fees = (debit * DEBIT_CARD_FEE + credit * CREDIT_CARD_FEE) / HUNDREDTHS_OF_PERCENT;
        self.pay("card-fees", fees, "card_fees", "Fees of the card acquirer");
    }

    /// On Mondays and Thursdays, for about half a week each.
    fn pay_suppliers(&mut self) {
        if !matches!(weekday(self.date), 0 | 3) {
            return;
        }
        let Trade { hours, sales_an_hour, ticket, supplies_percent, suppliers, .. } = self.store.trade;
        let sale = (ticket.0 * 2 + ticket.1) / 3;
        let half_a_week = (hours.1 - hours.0) * sales_an_hour * sale * 5;
        let count = u64::try_from(suppliers.len()).unwrap_or(1);
        for (index, supplier) in suppliers.iter().enumerate() {
            let cents = self.random.around(half_a_week * supplies_percent / 100 / count, 15);
            self.pay(&format!("supplier-{index}"), cents, "supplies", supplier);
        }
    }

    fn pay_monthly(&mut self) {
        let (_, _, day) = self.date.year_month_day();
        match day {
            5 => {
                self.pay("rent", self.store.trade.rent, "rent", "Rent");
                for (index, salary) in self.store.trade.salaries.iter().enumerate() {
                    self.pay(&format!("salary-{index}"), *salary, "salaries", "Salary");
                }
            }
            12 => {
                let cents = self.random.around(self.store.trade.rent / 9, 20);
                self.pay("electricity", cents, "utilities", "Electricity");
            }
            20 => {
                let cents = self.random.around(self.store.trade.rent / 3, 25);
                self.pay("taxes", cents, "taxes", "Simples Nacional");
            }
            _ => {}
        }
    }

    fn pay(&mut self, id: &str, cents: u64, category: &str, description: &str) {
        let id = format!("{id}-{}", self.store.seed);
        self.launch(&id, "debit", cents, category, json!({"description": description}));
    }

    fn launch(&mut self, id: &str, kind: &str, cents: u64, category: &str, more: serde_json::Value) {
        let Ok(currency) = Currency::parse("BRL") else { return };
        if cents == 0 {
            return;
        }
        let amount = ledger::format_minor_units(i128::from(cents), currency);
        let mut launch = json!({
            "id": id, "account": self.store.account, "date": self.date.to_string(), "kind": kind, "amount": amount,
            "currency": currency.code(), "category": category,
        });
        if let (Some(fields), serde_json::Value::Object(more)) = (launch.as_object_mut(), more) {
            fields.extend(more);
        }
        self.lines.push(launch.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn day(text: &str) -> Vec<String> {
        launches_of_day(&Store::new(3, 9), BusinessDate::parse(text).unwrap())
    }

    #[test]
    fn a_day_is_always_the_same_and_its_ids_are_unique() {
        let lines = day("2026-01-05");
        assert_eq!(lines, day("2026-01-05"));
        let ids: HashSet<String> = lines
            .iter()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
            .collect();
        assert_eq!(ids.len(), lines.len());
        assert!(lines.iter().any(|line| line.contains("\"rent\"")), "the fifth is the day of rent");
    }

    #[test]
    fn the_hardware_store_rests_on_sundays() {
        assert!(!day("2026-01-04").iter().any(|line| line.contains("\"sale\"")));
        assert!(day("2026-01-05").iter().any(|line| line.contains("\"sale\"")));
    }
}
