//! Makes commits and their notices from entries, by summing and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ledger::{
    Account, AccountKey, Balance, BusinessDate, Fact, Grain, Launch, Place, RowKey, Tenant, WindowKey, parse_logged,
};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, MAX_CHUNK_FACTS, Progress},
    lane::partition_of,
    log::{LogIdentity, LogMark},
    notice::{Changed, ChangedAccount, Notice},
};

/// The log's time of sequence 0: 2026-11-22T10:00:00Z. Each message comes a second later.
const FIRST_TIME_MS: i64 = 1_795_341_600_000;

/// One launch, as its line.
#[derive(Clone, Debug)]
pub struct Entry(pub String);

impl Entry {
    pub fn new(account: &str, date: &str, id: &str, kind: &str, amount: &str, currency: &str) -> Self {
        Self::of_tenant("acme", account, date, id, kind, amount, currency)
    }

    /// A credit in BRL.
    pub fn credit(account: &str, date: &str, id: &str, amount: &str) -> Self {
        Self::new(account, date, id, "credit", amount, "BRL")
    }

    pub fn of_tenant(
        tenant: &str,
        account: &str,
        date: &str,
        id: &str,
        kind: &str,
        amount: &str,
        currency: &str,
    ) -> Self {
        Self(format!(
            "{{\"id\":\"{id}\",\"tenant\":\"{tenant}\",\"account\":\"{account}\",\"date\":\"{date}\",\"kind\":\"{kind}\",\
             \"amount\":\"{amount}\",\"currency\":\"{currency}\"}}"
        ))
    }
}

/// The sums so far, and where each lane stands.
pub struct Worker {
    /// The log that commits and notices are of.
    pub identity: LogIdentity,
    sequence: u64,
    lanes: BTreeMap<u16, u64>,
    rows: BTreeMap<AccountKey, BTreeMap<RowKey, Balance>>,
}

impl Worker {
    pub fn new(identity: LogIdentity) -> Self {
        Self { identity, sequence: 0, lanes: BTreeMap::new(), rows: BTreeMap::new() }
    }

    pub fn partition(&self, tenant: &str, account: &str) -> u16 {
        partition_of(&account_key(tenant, account), self.identity.partitions)
    }

    /// The lane's last sequence.
    pub fn last(&self, partition: u16) -> u64 {
        self.lanes.get(&partition).copied().unwrap_or(0)
    }

    /// One message with these entries, which are all of one lane: its commit and notice.
    pub fn commit(&mut self, entries: &[Entry]) -> (Commit, Notice) {
        let launches: Vec<Launch> = entries.iter().map(|entry| parse_logged(entry.0.as_bytes()).unwrap()).collect();
        let lanes: BTreeSet<u16> =
            launches.iter().map(|launch| partition_of(&key_of(launch), self.identity.partitions)).collect();
        assert_eq!(lanes.len(), 1, "entries of one lane");
        let partition = *lanes.first().unwrap();
        self.sequence += 1;
        let mut touched: BTreeMap<AccountKey, BTreeSet<RowKey>> = BTreeMap::new();
        let mut windows: BTreeMap<WindowKey, Vec<Fact>> = BTreeMap::new();
        for (index, (launch, entry)) in launches.iter().zip(entries).enumerate() {
            let place = Place::new(self.sequence, u32::try_from(index + 1).unwrap());
            touched.entry(key_of(launch)).or_default().extend(self.add(launch, place));
            windows.entry(window_of(launch)).or_default().push(fact(launch, place, entry));
        }
        let commit = self.commit_of(partition, &touched, windows);
        let notice = self.notice_of(partition, &launches);
        self.lanes.insert(partition, self.sequence);
        (commit, notice)
    }

    /// Adds the launch to its day, month and lifetime.
    fn add(&mut self, launch: &Launch, place: Place) -> Vec<RowKey> {
        let rows = self.rows.entry(key_of(launch)).or_default();
        let keys = Grain::ALL.map(|grain| RowKey { grain, start: grain.start(launch.date), currency: launch.currency });
        for key in keys {
            let row = rows.entry(key).or_default();
            row.totals.add(launch.kind, launch.amount);
            (row.changed, row.applied) = (place, place.sequence);
        }
        keys.to_vec()
    }

    fn commit_of(
        &self,
        partition: u16,
        touched: &BTreeMap<AccountKey, BTreeSet<RowKey>>,
        windows: BTreeMap<WindowKey, Vec<Fact>>,
    ) -> Commit {
        let mark = LogMark { sequence: self.sequence, ..LogMark::default() };
        let chunks = |(window, facts): (WindowKey, Vec<Fact>)| {
            let chunk = |facts: &[Fact]| {
                let (window, facts) = (window.clone(), facts.to_vec());
                JournalChunk { window, bucket: 0, begins_window: true, facts }
            };
            facts.chunks(MAX_CHUNK_FACTS).map(chunk).collect::<Vec<_>>()
        };
        let batch = |(key, rows): (&AccountKey, &BTreeSet<RowKey>)| AccountBatch {
            key: key.clone(),
            applied: self.sequence,
            rows: rows.iter().map(|row| (*row, self.rows[key][row])).collect(),
        };
        Commit {
            partition,
            head: mark,
            journal: windows.into_iter().flat_map(chunks).collect(),
            accounts: touched.keys().cloned().collect(),
            balances: touched.iter().map(batch).collect(),
            rollups: Vec::new(),
            progress: Progress { sequence: self.sequence, time_ms: self.time_ms(), identity: self.identity.clone() },
            checkpoint: Some(mark),
        }
    }

    fn notice_of(&self, partition: u16, launches: &[Launch]) -> Notice {
        let mut earliest: BTreeMap<AccountKey, BusinessDate> = BTreeMap::new();
        for launch in launches {
            let date = earliest.entry(key_of(launch)).or_insert(launch.date);
            *date = launch.date.min(*date);
        }
        let changed =
            earliest.into_iter().map(|(AccountKey { tenant, account }, date)| ChangedAccount { tenant, account, date });
        Notice {
            log_is_whole: None,
            generation: 1,
            epoch: self.identity.epoch,
            incarnation: Some(self.identity.name().incarnation),
            partition,
            worker: Some(1),
            from: self.last(partition),
            to: self.sequence,
            time_ms: self.time_ms(),
            end: self.sequence,
            replaying: false,
            changed: Changed::Accounts(changed.collect()),
            stopped: Vec::new(),
        }
    }

    fn time_ms(&self) -> i64 {
        FIRST_TIME_MS + i64::try_from(self.sequence).unwrap() * 1_000
    }
}

pub fn account_key(tenant: &str, account: &str) -> AccountKey {
    AccountKey { tenant: Tenant::parse(tenant).unwrap(), account: Account::parse(account).unwrap() }
}

fn key_of(launch: &Launch) -> AccountKey {
    AccountKey { tenant: launch.tenant.clone(), account: launch.account.clone() }
}

fn window_of(launch: &Launch) -> WindowKey {
    WindowKey { tenant: launch.tenant.clone(), account: launch.account.clone(), date: launch.date }
}

fn fact(launch: &Launch, place: Place, entry: &Entry) -> Fact {
    Fact {
        place,
        id_digest: launch.id_digest,
        content_digest: launch.content_digest,
        kind: launch.kind,
        currency: launch.currency,
        amount: launch.amount,
        line: Bytes::copy_from_slice(entry.0.as_bytes()),
    }
}
