//! What is scarce, shared fairly between tenants.
//!
//! A tenant may hold up to [`SHARE`] times what is left free afterwards, and one unit in any case. One tenant alone gets
//! three quarters of the pool, two get three sevenths each, and something is left for the next one to come: whoever holds
//! much is refused long before the pool is empty. Nobody need know how many tenants there are.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ledger::Tenant;
use tokio::sync::oneshot;

/// How many times the free rest a tenant may hold. More leaves less to newcomers, less leaves more of the pool unused.
const SHARE: usize = 3;

/// Most requests of one tenant that wait for a turn: as many as the default bound of connections lets wait.
const MAX_WAITING: usize = 16_384;

/// A pool of units. Cheap to clone.
#[derive(Clone)]
pub struct FairPool {
    inner: Arc<Inner>,
}

struct Inner {
    keeps_reserve: bool,
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Those who hold or wait for something.
    tenants: HashMap<Tenant, Share>,
    /// The tenants with waiting requests, in the order of their turns.
    turns: VecDeque<Tenant>,
}

#[derive(Default)]
struct Share {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// Units of a pool, held until this is dropped.
pub struct Permit {
    inner: Arc<Inner>,
    tenant: Tenant,
    units: usize,
}

impl FairPool {
    /// A pool of so many units, at least one, of which something is always left for newcomers: for what is held for long.
    pub fn new(units: usize) -> Self {
        Self::with(units, true)
    }

    /// A pool that one tenant may use up: for what everybody gives back within moments. Waiting requests get it by turns,
    /// tenant by tenant.
    pub fn without_reserve(units: usize) -> Self {
        Self::with(units, false)
    }

    fn with(units: usize, keeps_reserve: bool) -> Self {
        let state = State { free: units.max(1), tenants: HashMap::new(), turns: VecDeque::new() };
        Self { inner: Arc::new(Inner { keeps_reserve, state: Mutex::new(state) }) }
    }

    /// Takes units at once; `None` when the tenant's share or the pool does not allow it.
    pub fn try_take(&self, tenant: &Tenant, units: usize) -> Option<Permit> {
        let mut state = self.inner.lock();
        state.take(tenant, units, self.inner.keeps_reserve).then(|| self.inner.permit(tenant, units))
    }

    /// Takes one unit, when it is the tenant's turn. Cancel safe. `None` when too many requests of the tenant wait already.
    pub async fn take(&self, tenant: &Tenant) -> Option<Permit> {
        let turn = {
            let mut state = self.inner.lock();
            if !state.has_waiting(tenant) && state.take(tenant, 1, self.inner.keeps_reserve) {
                return Some(self.inner.permit(tenant, 1));
            }
            state.wait(tenant)?
        };
        turn.await.ok()
    }
}

impl fmt::Debug for FairPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FairPool").field("free", &self.inner.lock().free).finish_non_exhaustive()
    }
}

impl Permit {
    /// How many units are held.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Takes more units of the same pool for the same tenant; `false`, and nothing changes, when that is not allowed.
    pub fn grow(&mut self, units: usize) -> bool {
        let grown = self.inner.lock().take(&self.tenant, units, self.inner.keeps_reserve);
        self.units += if grown { units } else { 0 };
        grown
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} units of {}", self.units, self.tenant)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let granted = self.inner.give_back(&self.tenant, self.units);
        for (turn, permit) in granted {
            // A request that has gone away meanwhile leaves its permit here, which passes it on.
            drop(turn.send(permit));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, tenant: &Tenant, units: usize) -> Permit {
        Permit { inner: Arc::clone(self), tenant: tenant.clone(), units }
    }

    /// Takes units back, and hands out what waiting requests may have of them; the caller sends it once the lock is free.
    fn give_back(self: &Arc<Self>, tenant: &Tenant, units: usize) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut state = self.lock();
        state.free += units;
        if let Some(share) = state.tenants.get_mut(tenant) {
            share.held -= units;
        }
        state.forget_idle(tenant);
        let granted = state.grant(self.keeps_reserve);
        granted.into_iter().map(|(tenant, turn)| (turn, self.permit(&tenant, 1))).collect()
    }
}

impl State {
    fn has_waiting(&self, tenant: &Tenant) -> bool {
        self.tenants.get(tenant).is_some_and(|share| !share.waiting.is_empty())
    }

    fn may_take(&self, tenant: &Tenant, units: usize, keeps_reserve: bool) -> bool {
        let Some(left) = self.free.checked_sub(units) else { return false };
        let held = self.tenants.get(tenant).map_or(0, |share| share.held);
        !keeps_reserve || held == 0 || held + units <= SHARE * left
    }

    fn take(&mut self, tenant: &Tenant, units: usize, keeps_reserve: bool) -> bool {
        let may_take = self.may_take(tenant, units, keeps_reserve);
        if may_take {
            self.free -= units;
            match self.tenants.get_mut(tenant) {
                Some(share) => share.held += units,
                None => drop(self.tenants.insert(tenant.clone(), Share { held: units, ..Share::default() })),
            }
        }
        may_take
    }

    fn wait(&mut self, tenant: &Tenant) -> Option<oneshot::Receiver<Permit>> {
        let share = self.tenants.entry(tenant.clone()).or_default();
        let is_first = share.waiting.is_empty();
        share.forget_gone();
        if share.waiting.len() >= MAX_WAITING {
            return None;
        }
        let (sender, turn) = oneshot::channel();
        share.waiting.push_back(sender);
        if is_first {
            self.turns.push_back(tenant.clone());
        }
        Some(turn)
    }

    /// Hands out what is free, a unit a turn. Ends when no waiting tenant may take anything.
    fn grant(&mut self, keeps_reserve: bool) -> Vec<(Tenant, oneshot::Sender<Permit>)> {
        let mut granted = Vec::new();
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.turns.len() {
            let Some(tenant) = self.turns.pop_front() else { break };
            let Some(share) = self.tenants.get_mut(&tenant) else { continue };
            share.forget_gone();
            if share.waiting.is_empty() {
                self.forget_idle(&tenant);
            } else if !self.take(&tenant, 1, keeps_reserve) {
                self.turns.push_back(tenant);
                passed_over += 1;
            } else {
                passed_over = 0;
                granted.extend(self.next_turn(tenant));
            }
        }
        granted
    }

    /// The tenant's first waiting request; the tenant queues up again if it has more.
    fn next_turn(&mut self, tenant: Tenant) -> Option<(Tenant, oneshot::Sender<Permit>)> {
        let share = self.tenants.get_mut(&tenant)?;
        let turn = share.waiting.pop_front()?;
        if !share.waiting.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, turn))
    }

    fn forget_idle(&mut self, tenant: &Tenant) {
        if self.tenants.get(tenant).is_some_and(|share| share.held == 0 && share.waiting.is_empty()) {
            self.tenants.remove(tenant);
        }
    }
}

impl Share {
    /// Drops the requests at the front that went away. Those in the middle follow when they are at the front.
    fn forget_gone(&mut self) {
        while self.waiting.front().is_some_and(oneshot::Sender::is_closed) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
