//! Every log that there ever was; the last one is the present one.

use ledger::{Account, AccountKey, Tenant};
use rand::{RngExt, rngs::StdRng};

use crate::{lane::partition_of, log::LogIdentity, position::Position};

/// Accounts, few: lanes are shared.
const ACCOUNTS: [&str; 6] = ["a", "b", "store-17", "cash", "e", "till"];
/// Most lanes: more than a log usually has.
const MOST_PARTITIONS: u16 = 9;

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) account: usize,
    /// Of all that was ever posted: a copy of a log has the same.
    pub(super) serial: u64,
}

/// A log; an entry's sequence is its index, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct OneLog {
    pub(super) identity: LogIdentity,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct Logs {
    accounts: Vec<AccountKey>,
    logs: Vec<OneLog>,
    serials: u64,
    /// The stream does not answer.
    pub(super) is_away: bool,
}

impl Logs {
    pub(super) fn new(rng: &mut StdRng) -> Self {
        let account =
            |name: &&str| Some(AccountKey { tenant: Tenant::parse("acme").ok()?, account: Account::parse(name).ok()? });
        let accounts = ACCOUNTS.iter().filter_map(account).collect();
        let identity =
            LogIdentity { epoch: 1, stream_id: "0".into(), partitions: rng.random_range(1..MOST_PARTITIONS) };
        let first = OneLog { identity, entries: Vec::new() };
        Self { accounts, logs: vec![first], serials: 0, is_away: rng.random_bool(0.5) }
    }

    pub(super) fn present(&self) -> &OneLog {
        &self.logs[self.last()]
    }

    /// The number of the present one.
    pub(super) fn last(&self) -> usize {
        self.logs.len() - 1
    }

    pub(super) fn get(&self, log: usize) -> &OneLog {
        &self.logs[log]
    }

    pub(super) fn of(&self, identity: &LogIdentity) -> Option<&OneLog> {
        self.logs.iter().find(|log| log.identity == *identity)
    }

    pub(super) fn all(&self) -> &[OneLog] {
        &self.logs
    }

    pub(super) fn accounts(&self) -> &[AccountKey] {
        &self.accounts
    }

    pub(super) fn append(&mut self, rng: &mut StdRng) {
        self.serials += 1;
        let entry = Entry { account: rng.random_range(0..self.accounts.len()), serial: self.serials };
        let last = self.last();
        self.logs[last].entries.push(entry);
    }

    /// The log gets another name: it is made anew, restored from a copy of any log that there was, or its epoch is raised.
    pub(super) fn rename(&mut self, rng: &mut StdRng) {
        let epoch = self.present().identity.epoch;
        let (entries, partitions, epoch) = match rng.random_range(0..3) {
            0 => (Vec::new(), rng.random_range(1..MOST_PARTITIONS), epoch + u8::from(rng.random_bool(0.3))),
            1 => {
                let copied = rng.random_range(0..self.logs.len());
                let OneLog { identity, entries } = &self.logs[copied];
                let length = rng.random_range(0..=entries.len());
                (entries[..length].to_vec(), identity.partitions, identity.epoch)
            }
            _ => (self.present().entries.clone(), self.present().identity.partitions, epoch + 1),
        };
        let identity = LogIdentity { epoch, stream_id: self.logs.len().to_string().into(), partitions };
        self.logs.push(OneLog { identity, entries });
    }

    /// The lane of an account in a log of so many lanes.
    pub(super) fn lane_of(&self, account: usize, partitions: u16) -> u16 {
        partition_of(&self.accounts[account], partitions)
    }

    /// Entries of a lane above a sequence, with their sequences.
    pub(super) fn behind(&self, log: usize, lane: u16, after: u64) -> impl Iterator<Item = (u64, Entry)> {
        let OneLog { identity, entries } = &self.logs[log];
        let numbered = (1..).zip(entries.iter().copied());
        numbered.filter(move |(sequence, entry)| {
            *sequence > after && self.lane_of(entry.account, identity.partitions) == lane
        })
    }

    pub(super) fn end_of_lane(&self, log: usize, lane: u16) -> u64 {
        self.behind(log, lane, 0).last().map_or(0, |(sequence, _)| sequence)
    }

    /// The position of some write of an account, in any log.
    pub(super) fn some_position(&self, rng: &mut StdRng, account: usize) -> Option<Position> {
        let log = &self.logs[rng.random_range(0..self.logs.len())];
        let sequences = (1..).zip(&log.entries).filter(|(_, entry)| entry.account == account);
        let sequences: Vec<u64> = sequences.map(|(sequence, _)| sequence).collect();
        let sequence = *sequences.get(rng.random_range(0..sequences.len().max(1)))?;
        let lane = self.lane_of(account, log.identity.partitions);
        Some(Position::of_lane(log.identity.name(), lane, sequence))
    }
}

impl OneLog {
    /// What an account comes to, up to a sequence.
    pub(super) fn content(&self, account: usize, upto: u64) -> Vec<u64> {
        let counted =
            (1..).zip(&self.entries).filter(|(sequence, entry)| *sequence <= upto && entry.account == account);
        counted.map(|(_, entry)| entry.serial).collect()
    }
}
