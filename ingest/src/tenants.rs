//! The tenants' settings that move days: time zone and cut-off, from a TOML file that is read again while running.
//!
//! | rule | why |
//! |---|---|
//! | a date is derived only while the tenant's settings are confirmed no longer ago than the bound | two instances must not derive different days from one launch |
//! | a date is derived only from what has occurred, or does so by tomorrow morning, see [`horizon`] | later days may still be changed |
//! | a change takes effect only on a date that is still to come, later than that bound | by then every instance has read it |
//! | a change that breaks this is refused for its tenant, whose settings then grow stale | somebody notices before a day is counted twice |
//! | what is taken and what is refused is logged, and how old the settings are is a metric | days are moved by nothing that nobody sees |
//! | a date is derived only from the data of a zone that the tenant's rule names | an upgrade brings other data, and instances of two versions run side by side |
//! | at the start every rule counts | what was derived before is not known; the operator must know, see `docs/configuration.md` |

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use ledger::{BusinessDate, Calendar, CalendarRule, NoDate, Tenant};
use tokio::time::Instant;

use crate::clock::{Clock, ForwardClock};

mod age;
mod changes;
mod file;
mod horizon;
mod reload;

pub use age::TenantsGauges;
pub use changes::{Change, Reading};
pub use file::TenantsError;
pub use reload::keep_fresh;

/// Where the settings come from and how old they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantsConfig {
    /// `SALDO_TENANTS`: path of the TOML file. Default: none, all tenants have UTC and 00:00.
    pub file: Option<PathBuf>,
    /// `SALDO_TENANTS_RELOAD_MS`: milliseconds between two readings. Default 5,000.
    pub reload_ms: u64,
    /// `SALDO_TENANTS_STALE_MS`: milliseconds after the last good reading during which dates are still derived. Default
    /// 60,000; at most a day.
    pub stale_ms: u64,
}

impl Default for TenantsConfig {
    fn default() -> Self {
        Self { file: None, reload_ms: 5_000, stale_ms: 60_000 }
    }
}

/// One tenant's settings as last confirmed.
#[derive(Clone, Debug)]
struct Confirmed {
    rules: Vec<CalendarRule>,
    calendar: Calendar,
    at: Instant,
}

/// The settings of all tenants as last read. Never changed.
#[derive(Clone, Debug)]
struct Settings {
    listed: HashMap<Tenant, Confirmed>,
    utc: Calendar,
    /// When the file was last read well; `None` without a file: then nothing can grow stale.
    read_at: Option<Instant>,
    stale_after: Duration,
}

/// The settings of all tenants at one moment. Cheap to share.
#[derive(Clone, Debug)]
pub struct Snapshot {
    settings: Arc<Settings>,
    derived_before_ns: i128,
}

/// The settings are too old to derive a date from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl Snapshot {
    /// The tenant's calendar.
    ///
    /// # Errors
    /// Its settings were confirmed too long ago.
    pub fn calendar(&self, tenant: &Tenant, now: Instant) -> Result<&Calendar, Stale> {
        self.settings.calendar(tenant, now)
    }

    /// Whether an instant, in nanoseconds since 1970, is so near that no change can move its day any more.
    pub fn is_settled(&self, instant_ns: i128) -> bool {
        instant_ns < self.derived_before_ns
    }
}

impl Settings {
    fn calendar(&self, tenant: &Tenant, now: Instant) -> Result<&Calendar, Stale> {
        let Some(read_at) = self.read_at else { return Ok(&self.utc) };
        let (calendar, confirmed_at) = match self.listed.get(tenant) {
            Some(confirmed) => (&confirmed.calendar, confirmed.at),
            None => (&self.utc, read_at),
        };
        if now.saturating_duration_since(confirmed_at) <= self.stale_after { Ok(calendar) } else { Err(Stale) }
    }

    /// How long ago the tenant's settings were confirmed for which that is longest ago.
    fn age(&self, now: Instant) -> Duration {
        let confirmed = self.listed.values().map(|confirmed| confirmed.at).chain(self.read_at);
        confirmed.min().map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest))
    }

    /// What a tenant has, as old as it is.
    fn unconfirmed(&self, tenant: &Tenant, now: Instant) -> Confirmed {
        let unlisted = || Confirmed { rules: Vec::new(), calendar: Calendar::utc(), at: self.read_at.unwrap_or(now) };
        self.listed.get(tenant).cloned().unwrap_or_else(unlisted)
    }

    /// The tenants whose rule of this moment names other data of its zone than this program has.
    fn of_other_version(&self, now_ms: i64) -> Vec<Tenant> {
        let now_ns = i128::from(now_ms) * 1_000_000;
        let is_other = |confirmed: &Confirmed| confirmed.calendar.business_date(now_ns) == Err(NoDate::OtherVersion);
        let others = self.listed.iter().filter(|(_, confirmed)| is_other(confirmed));
        let mut tenants: Vec<_> = others.map(|(tenant, _)| tenant.clone()).collect();
        tenants.sort();
        tenants
    }

    fn rules(&self, tenant: &Tenant) -> &[CalendarRule] {
        self.listed.get(tenant).map_or(&[], |confirmed| &confirmed.rules)
    }
}

/// Why days of some tenants are not derived, or soon will not be.
#[derive(Clone, Debug, Default)]
struct Trouble {
    /// `None`: they all are.
    why: Option<String>,
    /// Tenants whose change is refused, or whose zone's data this program does not have.
    rejected: usize,
}

impl Trouble {
    fn of(reading: &Reading) -> Self {
        Self { why: reading.trouble(), rejected: reading.rejected.len() + reading.other_version.len() }
    }
}

/// The settings, replaced as a whole when the file was read again.
#[derive(Clone, Debug)]
pub struct Tenants {
    current: Arc<RwLock<Arc<Settings>>>,
    trouble: Arc<Mutex<Trouble>>,
    clock: Arc<ForwardClock>,
    config: TenantsConfig,
}

impl Tenants {
    /// Reads the file, if there is one. Every rule counts.
    ///
    /// # Errors
    /// The file cannot be read or has a mistake; the error names its line.
    pub fn load(config: TenantsConfig, clock: Clock) -> Result<Self, TenantsError> {
        let now = Instant::now();
        let rules = config.file.as_deref().map(file::read).transpose()?;
        let mut settings = Settings {
            listed: HashMap::new(),
            utc: Calendar::utc(),
            read_at: rules.is_some().then_some(now),
            stale_after: Duration::from_millis(config.stale_ms),
        };
        for (tenant, (rules, calendar)) in rules.into_iter().flatten() {
            settings.listed.insert(tenant, Confirmed { rules, calendar, at: now });
        }
        let clock = Arc::new(ForwardClock::start(clock));
        let reading = Reading { other_version: settings.of_other_version(clock.now_ms()), ..Reading::default() };
        let trouble = Arc::new(Mutex::new(Trouble::of(&reading)));
        let current = Arc::new(RwLock::new(Arc::new(settings)));
        Ok(Self { current, trouble, clock, config })
    }

    /// The settings of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whatever is read later finds the clock here or further on.
        let derived_before_ns = horizon::derived_before_ns(self.clock.now_ms());
        Snapshot { settings: Arc::clone(&current), derived_before_ns }
    }

    /// Reads the file again. Tenants whose change comes too early keep what they had, unconfirmed.
    ///
    /// # Errors
    /// The file cannot be read or has a mistake; nothing changes, nothing is confirmed.
    pub fn reload(&self) -> Result<Reading, TenantsError> {
        let read = self.config.file.as_deref().map(file::read).transpose();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = read.inspect_err(|error| trouble.why = Some(error.to_string()))?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let Some(rules) = rules else { return Ok(Reading::default()) };
        let now_ms = self.clock.now_ms();
        let earliest = horizon::earliest_change(now_ms, self.config.stale_ms);
        let (settings, mut reading) = merge(&current, rules, earliest, Instant::now());
        reading.other_version = settings.of_other_version(now_ms);
        *current = Arc::new(settings);
        *trouble = Trouble::of(&reading);
        Ok(reading)
    }

    /// How long ago the settings were confirmed of the tenant for which that is longest ago; nothing without a file.
    pub fn age(&self, now: Instant) -> Duration {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        current.age(now)
    }

    /// Tenants whose change was refused at the last reading, or whose zone's data this program does not have.
    pub fn rejected(&self) -> usize {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).rejected
    }

    /// A sentence about settings that are not confirmed, and what comes of that.
    pub fn remark(&self) -> Option<String> {
        let why = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).why.clone()?;
        let is_stale = self.age(Instant::now()) > Duration::from_millis(self.config.stale_ms);
        let then = match is_stale {
            true => "launches without a date are refused",
            false => "launches without a date will be refused once they are stale",
        };
        Some(format!("{why}; {then}"))
    }
}

/// The new settings, and what became of the changes, of which none may move days before `earliest`.
fn merge(old: &Settings, rules: file::Rules, earliest: BusinessDate, now: Instant) -> (Settings, Reading) {
    let mut settings = Settings { listed: HashMap::new(), read_at: Some(now), ..old.clone() };
    let mut reading = Reading { earliest, ..Reading::default() };
    let removed = old.listed.keys().filter(|tenant| !rules.contains_key(*tenant)).cloned();
    let removed: Vec<_> = removed.map(|tenant| (tenant, (Vec::new(), Calendar::utc()))).collect();
    for (tenant, (rules, calendar)) in removed.into_iter().chain(rules) {
        match Change::between(&tenant, old.rules(&tenant), &rules) {
            Some(change) if change.begins < earliest => {
                settings.listed.insert(tenant.clone(), old.unconfirmed(&tenant, now));
                reading.rejected.push(change);
                continue;
            }
            change => reading.accepted.extend(change),
        }
        if !rules.is_empty() {
            settings.listed.insert(tenant, Confirmed { rules, calendar, at: now });
        }
    }
    (settings, reading)
}

#[cfg(test)]
#[path = "tenants/tests.rs"]
mod tests;
