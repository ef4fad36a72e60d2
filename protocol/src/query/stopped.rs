//! Accounts that a worker has stopped because stored rows and journal do not agree.

use hashbrown::HashSet;
use ledger::AccountKey;

use super::QueryRules;
use crate::notice::{Changed, MAX_STOPPED_ACCOUNTS, Notice};

/// The stopped accounts of a lane. More than a notice can name, and the whole lane counts as stopped: it bounds the set.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    accounts: HashSet<AccountKey>,
    whole_lane: bool,
    /// The last notice said that the lane is refused.
    refused: bool,
    rules: QueryRules,
}

impl Stopped {
    pub(super) fn new(rules: QueryRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Takes in what a notice says: named accounts are stopped; an account that was looked at (it is listed as changed)
    /// and is not named is so no longer.
    pub(super) fn hear(&mut self, notice: &Notice) {
        self.refused = notice.changed == Changed::Refused;
        if self.accounts.is_empty() && notice.stopped.is_empty() {
            return;
        }
        if let Changed::Accounts(changed) = &notice.changed {
            for entry in changed {
                self.accounts.remove(&AccountKey { tenant: entry.tenant.clone(), account: entry.account.clone() });
            }
        }
        self.accounts.extend(notice.stopped.iter().cloned());
        self.whole_lane |= self.accounts.len() > MAX_STOPPED_ACCOUNTS;
        if self.whole_lane {
            self.accounts.clear();
        }
    }

    /// Whether nothing may be answered about the account.
    pub(super) fn contains(&self, account: &AccountKey) -> bool {
        let is_stopped = self.whole_lane || (!self.accounts.is_empty() && self.accounts.contains(account));
        (self.refused && self.rules.refused_answers_nothing) || (is_stopped && self.rules.stopped_answers_nothing)
    }
}
