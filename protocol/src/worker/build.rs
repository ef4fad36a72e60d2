//! A folded run becomes a commit and its notice.

use ledger::{AccountKey, WindowKey};

use super::{
    config::Rules,
    held::{ChunkDraft, Held, HeldWindow},
    run::Run,
};
use crate::{
    commit::{AccountBatch, JournalChunk, RollupBatch},
    notice::{Changed, ChangedAccount, MAX_NOTICE_BYTES},
};

/// JSON of a notice without its accounts, at most; and of one account without its names.
const NOTICE_FRAME_BYTES: usize = 512;
const ACCOUNT_FRAME_BYTES: usize = 64;

/// The new launches of a run as journal chunks.
pub(crate) fn journal(chunks: Vec<ChunkDraft>, held: &mut Held) -> Vec<JournalChunk> {
    let mut journal = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        held.touched(chunk.window);
        if !chunk.is_journaled {
            continue;
        }
        let HeldWindow { account, date, .. } = held.windows[chunk.window];
        let AccountKey { tenant, account } = held.accounts[account].key.clone();
        journal.push(JournalChunk {
            window: WindowKey { tenant, account, date },
            bucket: chunk.bucket,
            begins_window: chunk.begins_window,
            facts: chunk.facts,
        });
    }
    journal
}

/// The changed rows of accounts, by account.
pub(crate) fn balances(run: &Run, held: &mut Held, applied: u64) -> Vec<AccountBatch> {
    let mut batches = Vec::new();
    for id in &run.accounts {
        let account = &mut held.accounts[*id];
        let mut rows = std::mem::take(&mut account.batch);
        if !rows.is_empty() {
            rows.sort_unstable_by_key(|(key, _)| *key);
            batches.push(AccountBatch { key: account.key.clone(), applied, rows });
        }
    }
    batches
}

/// The changed roll-up rows, by tenant.
pub(crate) fn rollups(run: &Run, held: &mut Held, applied: u64) -> Vec<RollupBatch> {
    let mut batches = Vec::new();
    for id in &run.tenants {
        let tenant = &mut held.tenants[*id];
        let mut rows = std::mem::take(&mut tenant.batch);
        if !rows.is_empty() {
            rows.sort_unstable_by_key(|(key, _)| *key);
            batches.push(RollupBatch { tenant: tenant.name.clone(), applied, rows });
        }
    }
    batches
}

/// Accounts with an entry in the run whose `account` row this worker has not written: new or not, for a crash may have
/// taken the row back while the launches are known.
pub(crate) fn first_touched(accounts: &[u32], held: &mut Held, rules: Rules) -> Vec<AccountKey> {
    let mut first = Vec::new();
    for id in accounts {
        let account = &mut held.accounts[*id];
        let is_needed = !account.is_announced && (rules.account_row_every_first_touch || !account.is_stored);
        account.is_announced = true;
        if is_needed && !account.is_stopped {
            first.push(account.key.clone());
        }
    }
    first
}

/// Every account with an entry in the run, with its earliest date, whether or not anything of it was written.
pub(crate) fn changed(accounts: &[u32], held: &Held, frame_bytes: usize) -> Changed {
    let mut bytes = NOTICE_FRAME_BYTES + frame_bytes;
    let mut list = Vec::with_capacity(accounts.len().min(MAX_NOTICE_BYTES / ACCOUNT_FRAME_BYTES));
    for id in accounts {
        let account = &held.accounts[*id];
        bytes += changed_bytes(&account.key);
        if bytes > MAX_NOTICE_BYTES {
            return Changed::All;
        }
        let AccountKey { tenant, account: name } = account.key.clone();
        list.push(ChangedAccount { tenant, account: name, date: account.folded.1 });
    }
    list.sort_unstable_by(|left, right| (&left.tenant, &left.account).cmp(&(&right.tenant, &right.account)));
    Changed::Accounts(list)
}

/// What is left of a notice that lists only accounts whose rows were written, as no worker may.
pub(crate) fn only_written(changed: Changed, balances: &[AccountBatch]) -> Changed {
    let Changed::Accounts(mut accounts) = changed else { return changed };
    accounts.retain(|changed| {
        balances.iter().any(|batch| batch.key.tenant == changed.tenant && batch.key.account == changed.account)
    });
    Changed::Accounts(accounts)
}

/// The JSON of an account in a notice, at most.
pub(crate) fn changed_bytes(key: &AccountKey) -> usize {
    ACCOUNT_FRAME_BYTES + key.tenant.as_str().len() + key.account.as_str().len()
}
