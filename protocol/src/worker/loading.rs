//! What a run needs from the store, and how the answer is taken in.

use std::sync::Arc;

use hashbrown::HashMap;
use ledger::{AccountKey, Grain, RowKey, SeenSet, WindowKey};

use super::{
    config::Rules,
    day_check::{DayCheck, check_day},
    held::Held,
    rows::RowGroup,
    run::Run,
};
use crate::{
    load::{LoadRequest, Loaded, RowsLoaded, RowsWanted, WindowLoaded},
    log::LogMark,
};
use ledger::Tenant;

/// What is to be loaded before `run` can be folded, at most `most_windows` windows; `None` when all is held.
pub(crate) fn request(run: &Run, held: &Held, most_windows: usize) -> Option<Arc<LoadRequest>> {
    let is_missing = |id: &&u32| !held.windows[**id].is_loaded;
    let windows: Vec<u32> = run.windows.iter().filter(is_missing).take(most_windows).copied().collect();
    if windows.is_empty() {
        return None;
    }
    let mut request = LoadRequest::default();
    let mut index_by_account = HashMap::new();
    for id in windows {
        let window = &held.windows[id];
        let index = *index_by_account.entry(window.account).or_insert_with(|| {
            request.accounts.push(rows_of_account(window.account, held));
            request.accounts.len() - 1
        });
        request.accounts[index].days.push(window.date);
        request.windows.push(key_of(id, held));
    }
    request.accounts.iter_mut().for_each(|wanted| wanted.days.sort_unstable());
    request.tenants = run.tenants.iter().filter_map(|id| rows_of_tenant(*id, held)).collect();
    Some(Arc::new(request))
}

fn key_of(id: u32, held: &Held) -> WindowKey {
    let window = &held.windows[id];
    let AccountKey { tenant, account } = held.accounts[window.account].key.clone();
    WindowKey { tenant, account, date: window.date }
}

fn rows_of_account(id: u32, held: &Held) -> RowsWanted<AccountKey> {
    let account = &held.accounts[id];
    RowsWanted {
        owner: account.key.clone(),
        days: Vec::new(),
        months: account.months.missing(),
        lifetime: !account.lifetime.is_loaded,
    }
}

fn rows_of_tenant(id: u32, held: &Held) -> Option<RowsWanted<Tenant>> {
    let tenant = &held.tenants[id];
    let wanted = RowsWanted {
        owner: tenant.name.clone(),
        days: tenant.days.missing(),
        months: tenant.months.missing(),
        lifetime: !tenant.lifetime.is_loaded,
    };
    let is_nothing = wanted.days.is_empty() && wanted.months.is_empty() && !wanted.lifetime;
    (!is_nothing).then_some(wanted)
}

/// Windows of a request with day checks that wait for the replay.
pub(crate) fn waiting(request: &LoadRequest, held: &Held) -> Vec<u32> {
    let windows = request.windows.iter();
    let ids = windows.filter_map(|window| held.find_window(&account_of(window), window.date));
    ids.filter(|id| !held.windows[*id].checks.is_empty()).collect()
}

/// Takes in the answer to a request. Returns the accounts whose rows do not agree with their journals.
pub(crate) fn install(
    request: &LoadRequest,
    loaded: Loaded,
    held: &mut Held,
    position: LogMark,
    rules: Rules,
) -> Vec<AccountKey> {
    loaded.accounts.into_iter().for_each(|rows| install_account(rows, held));
    loaded.tenants.into_iter().for_each(|rows| install_tenant(rows, held));
    request.accounts.iter().for_each(|wanted| mark_account(wanted, held));
    request.tenants.iter().for_each(|wanted| mark_tenant(wanted, held));
    let mut damaged = Vec::new();
    for window in loaded.windows {
        let Some(id) = held.find_window(&account_of(&window.window), window.window.date) else { continue };
        if install_window(&window, id, held, position, rules).differs {
            damaged.push(account_of(&window.window));
        }
    }
    damaged
}

fn account_of(window: &WindowKey) -> AccountKey {
    AccountKey { tenant: window.tenant.clone(), account: window.account.clone() }
}

fn install_account(loaded: RowsLoaded<AccountKey>, held: &mut Held) {
    for (key, balance) in loaded.rows {
        let RowKey { grain, start, currency } = key;
        if grain == Grain::Day {
            if let Some(id) = held.find_window(&loaded.owner, start) {
                held.windows[id].day.install(currency, balance);
            }
        } else if let Some(account) = held.find_account(&loaded.owner) {
            let group = match grain {
                Grain::Lifetime => &mut account.lifetime,
                Grain::Day | Grain::Month => account.months.of(start),
            };
            group.install(currency, balance);
        }
    }
    if let Some(account) = held.find_account(&loaded.owner) {
        account.is_stored |= loaded.applied.is_some();
    }
}

fn install_tenant(loaded: RowsLoaded<Tenant>, held: &mut Held) {
    let Some(tenant) = held.find_tenant(&loaded.owner) else { return };
    for (RowKey { grain, start, currency }, balance) in loaded.rows {
        let group = match grain {
            Grain::Day => tenant.days.of(start),
            Grain::Month => tenant.months.of(start),
            Grain::Lifetime => &mut tenant.lifetime,
        };
        group.install(currency, balance);
    }
}

/// What was asked for is known from now on, whether or not the store has it.
fn mark_account(wanted: &RowsWanted<AccountKey>, held: &mut Held) {
    for date in &wanted.days {
        if let Some(id) = held.find_window(&wanted.owner, *date) {
            held.windows[id].is_loaded = true;
        }
    }
    if let Some(account) = held.find_account(&wanted.owner) {
        wanted.months.iter().for_each(|start| account.months.of(*start).is_loaded = true);
        account.lifetime.is_loaded |= wanted.lifetime;
    }
}

fn mark_tenant(wanted: &RowsWanted<Tenant>, held: &mut Held) {
    let Some(tenant) = held.find_tenant(&wanted.owner) else { return };
    let mark = |group: &mut RowGroup| group.is_loaded = true;
    wanted.days.iter().for_each(|start| mark(tenant.days.of(*start)));
    wanted.months.iter().for_each(|start| mark(tenant.months.of(*start)));
    tenant.lifetime.is_loaded |= wanted.lifetime;
}

fn install_window(loaded: &WindowLoaded, id: u32, held: &mut Held, position: LogMark, rules: Rules) -> DayCheck {
    let window = &mut held.windows[id];
    window.seen =
        SeenSet::load(loaded.entries.iter().map(|entry| (entry.id_digest, entry.content_digest, entry.place)));
    let mut check = if rules.day_check {
        check_day(&window.day, &loaded.entries, position, rules.day_check_waits)
    } else {
        DayCheck::default()
    };
    window.checks = std::mem::take(&mut check.pending);
    held.touched(id);
    check
}
