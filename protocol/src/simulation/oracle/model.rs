//! What the generator writes, as it means it, and as a line of the log.

use super::Day;

/// Tenant and name of each account.
pub(crate) const ACCOUNTS: [(&str, &str); 6] =
    [("acme", "a"), ("acme", "b"), ("acme", "c"), ("acme", "d"), ("beta", "a"), ("beta", "e")];

/// Code and decimals of each currency, in the order of their codes.
pub(crate) const CURRENCIES: [(&str, u32); 2] = [("BRL", 2), ("JPY", 0)];

/// What a line of a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Launch(Launch),
    Blank,
    Garbage,
}

/// A launch as its author means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// Index in [`ACCOUNTS`].
    pub(crate) account: usize,
    pub(crate) day: Day,
    pub(crate) id: u32,
    pub(crate) is_credit: bool,
    pub(crate) minor_units: i64,
    /// Index in [`CURRENCIES`].
    pub(crate) currency: usize,
}

impl Line {
    /// As it stands on the log.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Launch(launch) => launch.text(),
            Self::Blank => String::new(),
            Self::Garbage => "{\"id\":".to_owned(),
        }
    }
}

impl Launch {
    /// The line as it stands on the log.
    pub(crate) fn text(&self) -> String {
        let (tenant, account) = ACCOUNTS[self.account];
        let (currency, decimals) = CURRENCIES[self.currency];
        let (id, date) = (self.id, self.day.text());
        let kind = if self.is_credit { "credit" } else { "debit" };
        let amount = match decimals {
            0 => self.minor_units.to_string(),
            _ => format!("{}.{:02}", self.minor_units / 100, self.minor_units % 100),
        };
        format!(
            "{{\"id\":\"i{id}\",\"tenant\":\"{tenant}\",\"account\":\"{account}\",\"date\":\"{date}\",\"kind\":\"{kind}\",\
             \"amount\":\"{amount}\",\"currency\":\"{currency}\"}}"
        )
    }
}

/// The partition that an account's launches stand in: 32 bits of FNV-1a over both names.
pub(crate) fn partition_of(account: usize, partitions: u16) -> u16 {
    let (tenant, name) = ACCOUNTS[account];
    let mut hash: u64 = 2_166_136_261;
    for byte in tenant.bytes().chain(name.bytes()) {
        hash = ((hash ^ u64::from(byte)) * 16_777_619) % (1 << 32);
    }
    u16::try_from(hash % u64::from(partitions)).unwrap_or(0)
}
