//! Accounts that a worker has stopped because stored rows and journal do not agree.

use hashbrown::HashSet;
use ledger::AccountKey;

use super::QueryRules;
use crate::notice::{Changed, MAX_STOPPED_ACCOUNTS, Notice};

/// The stopped accounts of a lane. More than a notice can name, and the whole lane counts as
/// stopped: it bounds the set.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    accounts: HashSet<AccountKey>,
    whole_lane: bool,
    /// Where the lane ended, as far as was told, when a stop was told last: what is wrong lies
    /// below.
    end: u64,
    /// The last notice said that the lane is refused.
    refused: bool,
    rules: QueryRules,
}

impl Stopped {
    pub(super) fn new(rules: QueryRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Takes in what a notice says. Named accounts are stopped. One that is not named is so no
    /// longer when it was looked at: it is listed as changed, or the worker has folded everything
    /// up to where the lane ended when it was stopped. The latter ends the stop of a whole lane,
    /// too.
    pub(super) fn hear(&mut self, notice: &Notice) {
        self.refused = notice.changed == Changed::Refused;
        if !self.has_any() && notice.stopped.is_empty() {
            return;
        }
        if self.has_looked_at_all(notice) {
            (self.whole_lane, self.accounts) = (false, HashSet::new());
        } else if let Changed::Accounts(changed) = &notice.changed {
            for entry in changed {
                self.accounts.remove(&AccountKey { tenant: entry.tenant.clone(), account: entry.account.clone() });
            }
        }
        if !notice.stopped.is_empty() {
            self.stop(notice);
        }
    }

    fn stop(&mut self, notice: &Notice) {
        self.end = self.end.max(notice.end);
        self.accounts.extend(notice.stopped.iter().cloned());
        self.whole_lane |= self.accounts.len() > MAX_STOPPED_ACCOUNTS;
        if self.whole_lane {
            self.accounts.clear();
        }
    }

    /// A worker names all accounts that it has stopped. One that replays has not come upon all of
    /// them again; checkpoints lie below what was stopped, so that one which has started later
    /// comes upon it.
    fn has_looked_at_all(&self, notice: &Notice) -> bool {
        !self.refused && !notice.replaying && notice.to >= self.end
    }

    fn has_any(&self) -> bool {
        self.whole_lane || !self.accounts.is_empty()
    }

    /// Whether the worker refuses to work on the lane.
    pub(super) fn is_refused(&self) -> bool {
        self.refused && self.rules.refused_answers_nothing
    }

    /// Whether nothing may be answered about the account.
    pub(super) fn contains(&self, account: &AccountKey) -> bool {
        let is_stopped = self.whole_lane || (!self.accounts.is_empty() && self.accounts.contains(account));
        self.is_refused() || (is_stopped && self.rules.stopped_answers_nothing)
    }
}
