//! Kinds of stores: when they sell how much, and what they pay.

/// A kind of store. Amounts in cents.
#[derive(Debug)]
pub struct Trade {
    /// Part of the account's name.
    pub name: &'static str,
    /// First hour with sales, and the hour in which it closes.
    pub hours: (u64, u64),
    /// Sales in a quiet hour.
    pub sales_an_hour: u64,
    /// Hours with about three times as many.
    pub rush_hours: &'static [u64],
    /// Smallest and largest usual sale.
    pub ticket: (u64, u64),
    /// Whether it sells on Sundays.
    pub open_on_sundays: bool,
    /// What goes to suppliers, in percent of the sales.
    pub supplies_percent: u64,
    /// Monthly rent.
    pub rent: u64,
    /// Monthly salary of each employee.
    pub salaries: &'static [u64],
    /// Suppliers that it buys from.
    pub suppliers: &'static [&'static str],
}

/// The kinds, in the order in which stores get them.
pub const TRADES: &[Trade] = &[
    Trade {
        name: "bakery",
        hours: (6, 20),
        sales_an_hour: 8,
        rush_hours: &[7, 8, 17, 18],
        ticket: (350, 4_800),
        open_on_sundays: true,
        supplies_percent: 38,
        rent: 420_000,
        salaries: &[310_000, 215_000, 198_000],
        suppliers: &["Moinho Boa Vista", "Laticinios Serra Azul", "Cafe Dois Irmaos"],
    },
    Trade {
        name: "pharmacy",
        hours: (8, 22),
        sales_an_hour: 5,
        rush_hours: &[11, 12, 18, 19],
        ticket: (900, 21_000),
        open_on_sundays: true,
        supplies_percent: 61,
        rent: 680_000,
        salaries: &[520_000, 245_000, 231_000],
        suppliers: &["Distribuidora Vital", "Farma Central"],
    },
    Trade {
        name: "restaurant",
        hours: (11, 23),
        sales_an_hour: 4,
        rush_hours: &[12, 13, 19, 20, 21],
        ticket: (2_900, 26_000),
        open_on_sundays: true,
        supplies_percent: 34,
        rent: 890_000,
        salaries: &[480_000, 320_000, 226_000, 226_000, 205_000],
        suppliers: &["Hortifruti do Vale", "Acougue Sao Jorge", "Bebidas Rio Claro"],
    },
    Trade {
        name: "hardware",
        hours: (8, 18),
        sales_an_hour: 3,
        rush_hours: &[8, 9, 16],
        ticket: (600, 68_000),
        open_on_sundays: false,
        supplies_percent: 55,
        rent: 510_000,
        salaries: &[295_000, 228_000],
        suppliers: &["Ferragens Uniao", "Tintas Horizonte"],
    },
];
