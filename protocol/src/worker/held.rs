//! Rows and windows held in memory: tenants, their accounts, their windows, each by a small number.

use hashbrown::HashMap;
use ledger::{AccountKey, BusinessDate, Fact, Grain, RowKey, SeenSet, Tenant};
use ledger::{Balance, Currency};

use super::{
    day_check::PendingCheck,
    groups::GroupsByStart,
    memory::{ALLOCATION_BYTES, map_entry_bytes, name_bytes, text_bytes},
    rows::RowGroup,
    slots::Slots,
};

/// The roll-up rows of one tenant's lane.
#[derive(Debug)]
pub(crate) struct HeldTenant {
    pub(crate) name: Tenant,
    pub(crate) days: GroupsByStart,
    pub(crate) months: GroupsByStart,
    pub(crate) lifetime: RowGroup,
    /// Its accounts that are held; none: it may be dropped.
    accounts: usize,
    /// The run that touched it last.
    pub(crate) run: u64,
    /// Rows of the commit being built.
    pub(crate) batch: Vec<(RowKey, Balance)>,
    bytes: usize,
}

/// One account: its month and lifetime rows; the day rows stand with their windows.
#[derive(Debug)]
pub(crate) struct HeldAccount {
    pub(crate) key: AccountKey,
    pub(crate) tenant: u32,
    pub(crate) months: GroupsByStart,
    pub(crate) lifetime: RowGroup,
    /// Whether the store had rows of it.
    pub(crate) is_stored: bool,
    /// Whether this worker has written its `account` row.
    pub(crate) is_announced: bool,
    pub(crate) is_stopped: bool,
    /// Its windows that are held; none: it may be dropped.
    windows: usize,
    /// The run that touched it last, and how many rows of its batch that may take.
    pub(crate) run: u64,
    pub(crate) run_rows: usize,
    /// The run that folded an entry of it last, and the earliest date of that run's entries.
    pub(crate) folded: (u64, BusinessDate),
    /// Rows of the commit being built.
    pub(crate) batch: Vec<(RowKey, Balance)>,
    bytes: usize,
}

/// One window: its seen ids and its day rows.
#[derive(Debug)]
pub(crate) struct HeldWindow {
    pub(crate) account: u32,
    pub(crate) date: BusinessDate,
    pub(crate) month: BusinessDate,
    pub(crate) is_loaded: bool,
    pub(crate) seen: SeenSet,
    pub(crate) day: RowGroup,
    /// Sequence of the last launch that this worker counted in it.
    pub(crate) last_changed: u64,
    /// Day checks that wait for the replay.
    pub(crate) checks: Vec<PendingCheck>,
    /// The run that touched it last, its index there, and the currencies that the run brings.
    pub(crate) run: u64,
    pub(crate) run_index: u32,
    pub(crate) currencies: Vec<Currency>,
    /// Touched since the evicting hand came by.
    is_recent: bool,
    bytes: usize,
}

/// Launches of a window that become one journal chunk.
#[derive(Debug, Default)]
pub(crate) struct ChunkDraft {
    pub(crate) window: u32,
    pub(crate) bucket: u32,
    pub(crate) begins_window: bool,
    /// How many there are; they are handed out when all are decided.
    pub(crate) launches: usize,
    pub(crate) facts: Vec<Fact>,
    pub(crate) bytes: usize,
    /// Whether it is written at all; false only where a rule is left out.
    pub(crate) is_journaled: bool,
}

/// All that is held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) tenants: Slots<HeldTenant>,
    pub(crate) accounts: Slots<HeldAccount>,
    pub(crate) windows: Slots<HeldWindow>,
    tenant_ids: HashMap<Tenant, u32>,
    account_ids: HashMap<AccountKey, u32>,
    window_ids: HashMap<(u32, BusinessDate), u32>,
    bytes: usize,
    /// Where the evicting hand stands.
    hand: u32,
    pub(crate) evicted: u64,
}

impl Held {
    /// The window of an account and a date; made, not loaded, where it is not held.
    pub(crate) fn window(&mut self, key: &AccountKey, date: BusinessDate) -> u32 {
        let account = self.account(key);
        if let Some(id) = self.window_ids.get(&(account, date)) {
            return *id;
        }
        let month = Grain::Month.start(date);
        let bytes = WINDOW_BYTES;
        let id = self.windows.insert(HeldWindow {
            account,
            date,
            month,
            is_loaded: false,
            seen: SeenSet::default(),
            day: RowGroup::default(),
            last_changed: 0,
            checks: Vec::new(),
            run: 0,
            run_index: 0,
            currencies: Vec::new(),
            is_recent: true,
            bytes,
        });
        self.window_ids.insert((account, date), id);
        self.bytes += bytes;
        self.accounts[account].windows += 1;
        self.make_groups(account, date, month);
        id
    }

    fn account(&mut self, key: &AccountKey) -> u32 {
        if let Some(id) = self.account_ids.get(key) {
            return *id;
        }
        let tenant = self.tenant(&key.tenant);
        self.tenants[tenant].accounts += 1;
        let id = self.accounts.insert(HeldAccount {
            key: key.clone(),
            tenant,
            months: GroupsByStart::default(),
            lifetime: RowGroup::default(),
            is_stored: false,
            is_announced: false,
            is_stopped: false,
            windows: 0,
            run: 0,
            run_rows: 0,
            folded: (0, BusinessDate::MAX),
            batch: Vec::new(),
            bytes: ACCOUNT_BYTES + name_bytes(key),
        });
        self.account_ids.insert(key.clone(), id);
        self.bytes += self.accounts[id].bytes;
        id
    }

    fn tenant(&mut self, name: &Tenant) -> u32 {
        if let Some(id) = self.tenant_ids.get(name) {
            return *id;
        }
        let id = self.tenants.insert(HeldTenant {
            name: name.clone(),
            days: GroupsByStart::default(),
            months: GroupsByStart::default(),
            lifetime: RowGroup::default(),
            accounts: 0,
            run: 0,
            batch: Vec::new(),
            bytes: TENANT_BYTES + text_bytes(name.as_str()),
        });
        self.tenant_ids.insert(name.clone(), id);
        self.bytes += self.tenants[id].bytes;
        id
    }

    /// Makes the groups that a window's launches go into, so that they are loaded with it.
    fn make_groups(&mut self, account: u32, date: BusinessDate, month: BusinessDate) {
        let account = &mut self.accounts[account];
        let tenant = &mut self.tenants[account.tenant];
        let mut made = account.months.make(month);
        account.bytes += made;
        for (groups, start) in [(&mut tenant.days, date), (&mut tenant.months, month)] {
            let bytes = groups.make(start);
            tenant.bytes += bytes;
            made += bytes;
        }
        self.bytes += made;
    }

    /// The held window of an account and a date.
    pub(crate) fn find_window(&self, key: &AccountKey, date: BusinessDate) -> Option<u32> {
        let account = self.account_ids.get(key)?;
        self.window_ids.get(&(*account, date)).copied()
    }

    pub(crate) fn find_account(&mut self, key: &AccountKey) -> Option<&mut HeldAccount> {
        let id = *self.account_ids.get(key)?;
        Some(&mut self.accounts[id])
    }

    pub(crate) fn find_tenant(&mut self, name: &Tenant) -> Option<&mut HeldTenant> {
        let id = *self.tenant_ids.get(name)?;
        Some(&mut self.tenants[id])
    }

    /// A window was used, or has grown, and with it the rows of its owners.
    pub(crate) fn touched(&mut self, id: u32) {
        let window = &mut self.windows[id];
        window.is_recent = true;
        let bytes = window.memory_bytes();
        let before = std::mem::replace(&mut window.bytes, bytes);
        let account = &mut self.accounts[window.account];
        let tenant = &mut self.tenants[account.tenant];
        let of_account = account.months.of(window.month).growth() + account.lifetime.growth();
        let days = tenant.days.of(window.date).growth();
        let of_tenant = days + tenant.months.of(window.month).growth() + tenant.lifetime.growth();
        account.bytes += of_account;
        tenant.bytes += of_tenant;
        self.bytes = self.bytes + bytes - before + of_account + of_tenant;
    }

    /// Bytes of all that is held. Pages and maps keep the size that the largest run has given them.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Drops windows that were not used for long and last changed at or below `safe`, until `budget` is kept; with the last
    /// window of an account the account, with the last account of a tenant the tenant. Between runs only.
    pub(crate) fn evict(&mut self, budget: usize, safe: u64) {
        // The first round clears the marks of recent use at most.
        let mut steps = 2 * self.windows.capacity();
        while self.bytes > budget && steps > 0 {
            steps -= 1;
            self.hand = if self.hand as usize + 1 < self.windows.capacity() { self.hand + 1 } else { 0 };
            let Some(window) = self.windows.get_mut(self.hand) else { continue };
            let was_recent = std::mem::take(&mut window.is_recent);
            if !was_recent && window.last_changed <= safe && window.checks.is_empty() {
                self.drop_window(self.hand);
            }
        }
    }

    fn drop_window(&mut self, id: u32) {
        let Some(window) = self.windows.remove(id) else { return };
        self.bytes -= window.bytes;
        self.window_ids.remove(&(window.account, window.date));
        self.evicted += 1;
        let account = &mut self.accounts[window.account];
        account.windows -= 1;
        if account.windows == 0 {
            self.drop_account(window.account);
        }
    }

    fn drop_account(&mut self, id: u32) {
        let Some(account) = self.accounts.remove(id) else { return };
        self.bytes -= account.bytes;
        self.account_ids.remove(&account.key);
        let tenant = &mut self.tenants[account.tenant];
        tenant.accounts -= 1;
        if tenant.accounts == 0
            && let Some(tenant) = self.tenants.remove(account.tenant)
        {
            self.bytes -= tenant.bytes;
            self.tenant_ids.remove(&tenant.name);
        }
    }
}

impl HeldWindow {
    fn memory_bytes(&self) -> usize {
        let seen = self.seen.memory_bytes() - size_of::<SeenSet>();
        let checks = self.checks.capacity() * size_of::<PendingCheck>();
        WINDOW_BYTES + seen + checks + self.day.heap_bytes() + self.currencies.capacity() * size_of::<Currency>()
    }
}

/// A window without what it has seen: its place, its entry in the map, and its lists' allocations.
const WINDOW_BYTES: usize =
    size_of::<Option<HeldWindow>>() + map_entry_bytes(size_of::<((u32, BusinessDate), u32)>()) + 3 * ALLOCATION_BYTES;
/// An account without rows and names.
const ACCOUNT_BYTES: usize = size_of::<Option<HeldAccount>>() + map_entry_bytes(size_of::<(AccountKey, u32)>());
/// A tenant without rows and name.
const TENANT_BYTES: usize = size_of::<Option<HeldTenant>>() + map_entry_bytes(size_of::<(Tenant, u32)>());
