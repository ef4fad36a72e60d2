//! A naive fold of one lane, kept by message: what everything else is compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ledger::{
    AccountKey, Amount, Balance, BusinessDate, Currency, Grain, Kind, Place, RowKey, Tenant, Totals, WindowKey,
};

use super::{
    log::{Launch, Line},
    store::Put,
    tables::Tables,
};
use crate::{
    commit::JournalChunk,
    lane::partition_of,
    notice::{Changed, Notice},
};

/// Whose row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Owner {
    Account(AccountKey),
    Lane(Tenant),
}

impl Owner {
    /// A damaged account is folded no further, nor are its launches into the roll-ups of its tenant.
    fn is_touched_by(&self, damaged: &BTreeSet<AccountKey>) -> bool {
        match self {
            Self::Account(account) => damaged.contains(account),
            Self::Lane(tenant) => damaged.iter().any(|account| account.tenant == *tenant),
        }
    }
}

/// Kind, amount and currency: the content of the simulation's launches.
type Content = (Kind, Amount, Currency);

/// What a lane of the log means.
#[derive(Debug)]
pub(crate) struct Truth {
    lane: u16,
    seen: HashMap<(AccountKey, BusinessDate, u32), Content>,
    /// Launches that count, by place.
    facts: BTreeMap<Place, Launch>,
    /// The same by window.
    windows: BTreeMap<WindowKey, Vec<Place>>,
    /// Totals of each row after each launch that changed it.
    rows: BTreeMap<(Owner, RowKey), Vec<(Place, Totals)>>,
    /// Bad lines by message.
    pub(crate) bad: BTreeMap<u64, Vec<u32>>,
    /// Accounts and dates of each message's entries, whatever became of them.
    pub(super) touched: BTreeMap<u64, Vec<(AccountKey, BusinessDate)>>,
}

impl Truth {
    pub(crate) fn new(lane: u16) -> Self {
        Self {
            lane,
            seen: HashMap::new(),
            facts: BTreeMap::new(),
            windows: BTreeMap::new(),
            rows: BTreeMap::new(),
            bad: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Folds a message of this lane.
    pub(crate) fn append(&mut self, sequence: u64, lines: &[Line], partitions: u16) {
        for (line, number) in lines.iter().zip(1..) {
            let is_good = match line {
                Line::Blank => true,
                Line::Garbage => false,
                Line::Launch(launch) if partition_of(&launch.account, partitions) != self.lane => false,
                Line::Launch(launch) => self.fold(Place::new(sequence, number), launch),
            };
            if !is_good {
                self.bad.entry(sequence).or_default().push(number);
            }
        }
    }

    /// False when it is a conflict.
    fn fold(&mut self, place: Place, launch: &Launch) -> bool {
        self.touched.entry(place.sequence).or_default().push((launch.account.clone(), launch.date));
        let content = (launch.kind, launch.amount, launch.currency);
        let id = (launch.account.clone(), launch.date, launch.id);
        if let Some(known) = self.seen.get(&id) {
            return *known == content;
        }
        self.seen.insert(id, content);
        for owner in [Owner::Account(launch.account.clone()), Owner::Lane(launch.account.tenant.clone())] {
            for grain in Grain::ALL {
                let key = RowKey { grain, start: grain.start(launch.date), currency: launch.currency };
                let versions = self.rows.entry((owner.clone(), key)).or_default();
                let mut totals = versions.last().map_or_else(Totals::default, |(_, totals)| *totals);
                totals.add(launch.kind, launch.amount);
                versions.push((place, totals));
            }
        }
        self.windows.entry(window_of(launch)).or_default().push(place);
        self.facts.insert(place, launch.clone());
        true
    }

    /// The row as the fold of everything up to a sequence has it.
    fn row(&self, owner: &Owner, key: RowKey, upto: u64) -> Option<(Place, Totals)> {
        version(self.rows.get(&(owner.clone(), key))?, upto)
    }

    /// The launches of a window up to a sequence.
    pub(crate) fn launches(&self, window: &WindowKey, upto: u64) -> Vec<Place> {
        let places = self.windows.get(window).into_iter().flatten();
        places.copied().take_while(|place| place.sequence <= upto).collect()
    }

    /// Whether a write says what the fold says.
    pub(crate) fn check_put(&self, put: &Put) -> Result<(), String> {
        match put {
            Put::Balances(batch) => self.check_rows(&Owner::Account(batch.key.clone()), &batch.rows),
            Put::Rollups(_, batch) => self.check_rows(&Owner::Lane(batch.tenant.clone()), &batch.rows),
            Put::Journal(chunk) => self.check_chunk(chunk),
            Put::Head(..) | Put::Account(_) | Put::Progress(..) | Put::Checkpoint(..) => Ok(()),
        }
    }

    fn check_rows(&self, owner: &Owner, rows: &[(RowKey, Balance)]) -> Result<(), String> {
        for (key, balance) in rows {
            let expected = self.row(owner, *key, balance.applied);
            if expected != Some((balance.changed, balance.totals)) {
                return Err(format!("row {owner:?} {key:?} is {balance:?}, the fold says {expected:?}"));
            }
        }
        Ok(())
    }

    fn check_chunk(&self, chunk: &JournalChunk) -> Result<(), String> {
        for fact in &chunk.facts {
            let same = |launch: &&Launch| launch.text().as_bytes() == fact.line && window_of(launch) == chunk.window;
            if self.facts.get(&fact.place).filter(same).is_none() {
                return Err(format!(
                    "the journal of {:?} has a launch at {:?} that does not count",
                    chunk.window, fact.place
                ));
            }
        }
        Ok(())
    }

    /// Whether tables hold everything up to a sequence: rows, journals, accounts. Damaged accounts are passed over.
    pub(crate) fn check_complete(
        &self,
        tables: &Tables,
        upto: u64,
        bucket_facts: u64,
        damaged: &BTreeSet<AccountKey>,
    ) -> Result<(), String> {
        self.check_rows_complete(tables, upto, damaged)?;
        let is_whole = |(window, _): &(&WindowKey, _)| damaged.is_empty() || !damaged.contains(&account_of(window));
        for (window, places) in self.windows.iter().filter(is_whole) {
            let due = &places[..places.partition_point(|place| place.sequence <= upto)];
            if due.is_empty() {
                continue;
            }
            let stored = tables.facts(window, bucket_facts);
            let is_stored = |place: &Place| stored.binary_search_by_key(place, |fact| fact.place).is_ok();
            if let Some(place) = due.iter().find(|place| !is_stored(place)) {
                return Err(format!("the journal of {window:?} lacks the launch at {place:?}"));
            }
            let of_tenant = tables.accounts.get(&window.tenant);
            if of_tenant.is_none_or(|accounts| !accounts.contains(&window.account)) {
                return Err(format!("the account of {window:?} is not listed"));
            }
        }
        Ok(())
    }

    fn check_rows_complete(&self, tables: &Tables, upto: u64, damaged: &BTreeSet<AccountKey>) -> Result<(), String> {
        for ((owner, key), versions) in &self.rows {
            if owner.is_touched_by(damaged) {
                continue;
            }
            let Some((changed, _)) = version(versions, upto) else { continue };
            let rows = match owner {
                Owner::Account(account) => tables.balances.get(account),
                Owner::Lane(tenant) => tables.rollups.get(&(tenant.clone(), self.lane)),
            };
            let stored = rows.and_then(|rows| rows.rows.get(key));
            if stored.is_none_or(|stored| stored.applied < changed.sequence) {
                return Err(format!("row {owner:?} {key:?} lacks the launch at {changed:?}: {stored:?}"));
            }
        }
        Ok(())
    }

    /// Whether a notice lists every account with an entry in its range, with a date that is early enough.
    pub(crate) fn check_notice(&self, notice: &Notice) -> Result<(), String> {
        let Changed::Accounts(listed) = &notice.changed else { return Ok(()) };
        let entries = self.touched.range(notice.from + 1..notice.to.max(notice.from) + 1);
        for (account, date) in entries.flat_map(|(_, entries)| entries) {
            let names = |listed: &&crate::notice::ChangedAccount| {
                listed.tenant == account.tenant && listed.account == account.account && listed.date <= *date
            };
            if !listed.iter().any(|listed| names(&listed)) {
                return Err(format!("the notice {notice:?} does not list {account:?} from {date}"));
            }
        }
        Ok(())
    }

    /// The balance rows of an account as of a sequence, by key.
    pub(crate) fn account_rows(&self, account: &AccountKey, upto: u64) -> BTreeMap<RowKey, Totals> {
        let owner = Owner::Account(account.clone());
        let rows = self.rows.iter().filter(|((known, _), _)| *known == owner);
        rows.filter_map(|((_, key), versions)| version(versions, upto).map(|(_, totals)| (*key, totals))).collect()
    }
}

/// The last version that holds nothing above a sequence.
fn version(versions: &[(Place, Totals)], upto: u64) -> Option<(Place, Totals)> {
    let count = versions.partition_point(|(place, _)| place.sequence <= upto);
    count.checked_sub(1).map(|last| versions[last])
}

fn window_of(launch: &Launch) -> WindowKey {
    let AccountKey { tenant, account } = launch.account.clone();
    WindowKey { tenant, account, date: launch.date }
}

fn account_of(window: &WindowKey) -> AccountKey {
    AccountKey { tenant: window.tenant.clone(), account: window.account.clone() }
}
