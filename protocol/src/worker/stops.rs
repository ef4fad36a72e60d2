//! Accounts whose stored rows do not agree with their journals, and day checks that wait.

use std::collections::BTreeSet;

use ledger::AccountKey;

use super::{build::changed_bytes, held::Held, run::Run};
use crate::log::LogMark;

/// Stopped accounts and waiting checks of one worker.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    accounts: BTreeSet<AccountKey>,
    /// Windows with day checks that wait for the replay.
    waiting: Vec<u32>,
    /// A restart from here finds the first stopped account again.
    stopped_at: Option<LogMark>,
}

impl Stops {
    /// Stops an account; a worker restarted from `found_at` comes upon it again.
    pub(crate) fn stop(&mut self, key: AccountKey, found_at: LogMark, held: &mut Held) {
        if let Some(account) = held.find_account(&key) {
            account.is_stopped = true;
        }
        let lowest = self.stopped_at.filter(|known| known.sequence <= found_at.sequence);
        self.stopped_at = lowest.or(Some(found_at));
        self.accounts.insert(key);
    }

    /// An account that was dropped from memory and is held again is still stopped.
    pub(crate) fn mark(&self, run: &Run, held: &mut Held) {
        if self.accounts.is_empty() {
            return;
        }
        for id in &run.accounts {
            let account = &mut held.accounts[*id];
            account.is_stopped = self.accounts.contains(&account.key);
        }
    }

    /// Windows of the run that were just loaded may have checks that wait.
    pub(crate) fn wait_for(&mut self, windows: impl IntoIterator<Item = u32>) {
        self.waiting.extend(windows);
    }

    /// The run decided everything up to `sequence`: checks up to there are due.
    pub(crate) fn check_up_to(&mut self, sequence: u64, held: &mut Held) {
        let mut damaged = Vec::new();
        self.waiting.retain(|id| {
            let window = &mut held.windows[*id];
            let due = |check: &&super::day_check::PendingCheck| check.stamp <= sequence;
            if let Some(check) = window.checks.iter().filter(due).find(|check| !check.agrees()) {
                damaged.push((window.account, check.loaded_at));
            }
            window.checks.retain(|check| check.stamp > sequence);
            !window.checks.is_empty()
        });
        for (account, loaded_at) in damaged {
            let key = held.accounts[account].key.clone();
            self.stop(key, loaded_at, held);
        }
    }

    /// The checkpoint must not go beyond this: a restart has to come upon stopped accounts and waiting checks again.
    pub(crate) fn ceiling(&self, held: &Held) -> Option<LogMark> {
        let checks = self.waiting.iter().flat_map(|id| &held.windows[*id].checks);
        checks.map(|check| check.loaded_at).chain(self.stopped_at).min_by_key(|mark| mark.sequence)
    }

    pub(crate) fn accounts(&self) -> &BTreeSet<AccountKey> {
        &self.accounts
    }

    /// What the stopped accounts take of a notice.
    pub(crate) fn notice_bytes(&self) -> usize {
        self.accounts.iter().map(changed_bytes).sum()
    }
}
