//! Accounts that a worker has stopped because stored rows and journal do not agree.

use hashbrown::HashSet;
use ledger::AccountKey;

use crate::notice::{Changed, MAX_STOPPED_ACCOUNTS, Notice};

/// The stopped accounts of a lane. More than a notice can name, and the whole lane counts as stopped: it bounds the set.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    accounts: HashSet<AccountKey>,
    whole_lane: bool,
    /// The last notice said that the lane is refused.
    refused: bool,
}

impl Stopped {
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
        self.whole_lane || self.refused || (!self.accounts.is_empty() && self.accounts.contains(account))
    }
}
