//! Messages as they may stand on the log, good and bad.

use ledger::{Account, AccountKey, Tenant};
use protocol::lane::partition_of;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::PARTITIONS;

/// A line of a message, with what it means.
#[derive(Clone, Debug)]
pub enum Line {
    /// A launch in the lane that its account belongs to, or in another one.
    Launch(Launch),
    /// Something else, and the reason for which it is parked.
    Bad { text: String, reason: &'static str },
    /// White space.
    Blank,
}

#[derive(Clone, Debug)]
pub struct Launch {
    pub tenant: String,
    pub account: String,
    pub date: String,
    pub id: String,
    pub is_credit: bool,
    pub cents: u64,
    pub currency: &'static str,
    pub description: &'static str,
}

impl Launch {
    pub fn key(&self) -> AccountKey {
        AccountKey { tenant: Tenant::parse(&self.tenant).unwrap(), account: Account::parse(&self.account).unwrap() }
    }

    pub fn lane(&self) -> u16 {
        partition_of(&self.key(), PARTITIONS)
    }
}

impl Line {
    pub fn text(&self) -> String {
        match self {
            Self::Bad { text, .. } => text.clone(),
            Self::Blank => "  ".to_owned(),
            Self::Launch(launch) => {
                let kind = if launch.is_credit { "credit" } else { "debit" };
                let Launch { tenant, account, date, id, cents, currency, description, .. } = launch;
                let (units, cents) = (cents / 100, cents % 100);
                format!(
                    "{{\"id\":\"{id}\",\"tenant\":\"{tenant}\",\"account\":\"{account}\",\"date\":\"{date}\",\"kind\":\"{kind}\",\
                     \"amount\":\"{units}.{cents:02}\",\"currency\":\"{currency}\",\"description\":\"{description}\"}}"
                )
            }
        }
    }
}

/// A launch of a small world, so that ids come again: with the same content, and with another.
pub fn random_launch(random: &mut impl Rng) -> Launch {
    Launch {
        tenant: ["acme", "umbrella"][random.random_range(0..2)].to_owned(),
        account: format!("store-{}", random.random_range(0..9)),
        date: format!("2026-{:02}-{:02}", random.random_range(10..=12), random.random_range(1..=28)),
        id: format!("id-{}", random.random_range(0..40)),
        is_credit: random.random_bool(0.5),
        cents: random.random_range(1..=3) * 1_001,
        currency: ["BRL", "USD"][random.random_range(0..2)],
        description: ["", "café"][random.random_range(0..2)],
    }
}

fn random_bad(random: &mut impl Rng) -> Line {
    let bad = |text: &str, reason| Line::Bad { text: text.to_owned(), reason };
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(64 * 1024));
    match random.random_range(0..40) {
        0 => bad(&long, "line_too_long"),
        1..10 => bad("{\"id\":\"open", "malformed"),
        10..20 => bad("\u{1}\u{2}nonsense", "malformed"),
        20..30 => bad("{\"type\":\"refund\",\"id\":\"1\"}", "unknown_type"),
        _ => bad(
            "{\"id\":\"b1\",\"tenant\":\"acme\",\"account\":\"store-1\",\"kind\":\"credit\",\"amount\":\"1.00\",\"currency\":\"BRL\"}",
            "missing_date",
        ),
    }
}

/// `count` messages, each with the lane that it is published into: mostly launches, some of them in a wrong lane, some
/// garbage, some messages empty.
pub fn random_messages(seed: u64, count: usize) -> Vec<(u16, Vec<Line>)> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random_message(&mut random)).collect()
}

fn random_message(random: &mut StdRng) -> (u16, Vec<Line>) {
    let lane = random.random_range(0..PARTITIONS);
    if random.random_bool(0.05) {
        return (lane, Vec::new());
    }
    let lines = (0..random.random_range(1..30)).map(|_| random_line(lane, random)).collect();
    (lane, lines)
}

fn random_line(lane: u16, random: &mut StdRng) -> Line {
    match random.random_range(0..100) {
        0..3 => random_bad(random),
        3..5 => Line::Blank,
        5 => Line::Launch(random_launch(random)),
        _ => loop {
            let launch = random_launch(random);
            if launch.lane() == lane {
                return Line::Launch(launch);
            }
        },
    }
}
