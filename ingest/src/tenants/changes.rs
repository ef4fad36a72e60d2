//! What a reading of the file changes, for the log and for those who ask how the service is.

use std::{collections::HashMap, fmt};

use ledger::{BusinessDate, CalendarRule, Tenant};

/// Lines in the log about one reading; of more changes only the number is told.
const MAX_LINES: usize = 20;
const UTC: &str = "UTC";

/// A tenant whose rules in the file are others than those in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub tenant: Tenant,
    /// The first date for which something else holds.
    pub begins: BusinessDate,
    zone: String,
    cut_off_minutes: u16,
}

impl Change {
    /// From the rules that a tenant has to those that the file gives; `None` if they are the same.
    pub(super) fn between(tenant: &Tenant, old: &[CalendarRule], new: &[CalendarRule]) -> Option<Self> {
        let only_in = |some: &[CalendarRule], others: &[CalendarRule]| {
            some.iter().filter(|rule| !others.contains(rule)).map(|rule| rule.effective_from).min()
        };
        let begins = [only_in(old, new), only_in(new, old)].into_iter().flatten().min()?;
        let holds = new.iter().rfind(|rule| rule.effective_from <= begins);
        let zone = holds.map_or(UTC, |rule| &rule.zone).to_owned();
        Some(Self {
            tenant: tenant.clone(),
            begins,
            zone,
            cut_off_minutes: holds.map_or(0, |rule| rule.cut_off_minutes),
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, begins, zone, cut_off_minutes } = self;
        let (hours, minutes) = (cut_off_minutes / 60, cut_off_minutes % 60);
        write!(formatter, "tenant {tenant} from {begins} on: {zone}, days begin at {hours:02}:{minutes:02}")
    }
}

/// What became of the changes in one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Taken.
    pub accepted: Vec<Change>,
    /// They would move days that may have launches; these tenants keep what they had, unconfirmed.
    pub rejected: Vec<Change>,
    /// The first date on which a change could have begun.
    pub earliest: BusinessDate,
    /// Tenants whose rule of this moment names other data of its zone than this program has.
    pub other_version: Vec<Tenant>,
}

impl Default for Reading {
    fn default() -> Self {
        let (accepted, rejected, other_version) = Default::default();
        Self { accepted, rejected, earliest: BusinessDate::MIN, other_version }
    }
}

impl Reading {
    /// Why days are not derived, or soon will not be.
    pub(super) fn trouble(&self) -> Option<String> {
        let sentences: Vec<_> = [self.too_early(), self.of_other_version()].into_iter().flatten().collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    fn of_other_version(&self) -> Option<String> {
        let (first, count) = (self.other_version.first()?, self.other_version.len());
        Some(format!("the rules of {count} tenants ({first}) name other time-zone data than this program has"))
    }

    fn too_early(&self) -> Option<String> {
        let first = self.rejected.first()?;
        let (count, earliest) = (self.rejected.len(), self.earliest);
        Some(format!(
            "{count} tenants' settings change too early and are refused ({first}); the earliest date is {earliest}"
        ))
    }
}

/// What was logged before, so that the same is logged once.
#[derive(Default)]
pub(super) struct Told {
    rejected: HashMap<Tenant, Change>,
    other_version: Vec<Tenant>,
    unreadable: Option<String>,
}

impl Told {
    /// Logs what is new in a reading.
    pub fn read(&mut self, reading: &Reading) {
        if self.unreadable.take().is_some() {
            tracing::info!("the tenants file can be read again");
        }
        each(&reading.accepted, |change| tracing::info!("a change of settings is taken: {change}"));
        let is_new = |change: &&Change| self.rejected.get(&change.tenant) != Some(*change);
        let rejected: Vec<_> = reading.rejected.iter().filter(is_new).cloned().collect();
        let earliest = reading.earliest;
        each(&rejected, |change| {
            tracing::error!(
                "a change of settings comes too early and is refused: {change}; the earliest date that would do is {earliest}. \
                 The tenant keeps its rules until they are stale, then its launches without a date are refused"
            );
        });
        let others: Vec<_> =
            reading.other_version.iter().filter(|it| self.other_version.binary_search(it).is_err()).collect();
        each(&others, |tenant| {
            tracing::error!(
                "the rule of tenant {tenant} names other time-zone data than this program has: its launches without a date are \
                 refused here. Go on with the program that has these data until a rule with this program's version begins"
            );
        });
        self.other_version.clone_from(&reading.other_version);
        let before = std::mem::take(&mut self.rejected);
        self.rejected = reading.rejected.iter().map(|change| (change.tenant.clone(), change.clone())).collect();
        let ended: Vec<_> = before.into_values().filter(|change| !self.rejected.contains_key(&change.tenant)).collect();
        each(&ended, |change| tracing::info!("the settings of tenant {} are confirmed again", change.tenant));
    }

    /// Logs that there was none, unless the last attempt ended alike.
    pub fn could_not_read(&mut self, why: &str) {
        if self.unreadable.as_deref() != Some(why) {
            tracing::error!("{why}; days are derived from the last good settings until they are stale");
            self.unreadable = Some(why.to_owned());
        }
    }
}

fn each<T>(changes: &[T], tell: impl Fn(&T)) {
    changes.iter().take(MAX_LINES).for_each(tell);
    if let Some(more) = changes.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
        tracing::warn!("and the same of {more} more tenants");
    }
}
