//! Computing in slices: reading a bulk takes the processors for as long as the bulk is long, so it is done in turns with all
//! other requests, and with other bulks by turns of their tenants.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::Tenant;
use service::fair::Permit;

use crate::shared::Shared;

/// How long a bulk computes before others are let run.
const SLICE: Duration = Duration::from_micros(500);

/// The computing of one bulk.
pub struct Work {
    shared: Arc<Shared>,
    tenant: Tenant,
    turn: Option<Permit>,
    since: Instant,
    /// When it was first seen that the service stops.
    stopping_since: Option<Instant>,
    is_over: bool,
}

impl Work {
    /// Work of `tenant`. As many bulks compute at once as there are turns, so that a task that is ready waits for one slice
    /// and not for one of each bulk.
    pub fn new(shared: Arc<Shared>, tenant: Tenant) -> Self {
        Self { shared, tenant, turn: None, since: Instant::now(), stopping_since: None, is_over: false }
    }

    /// To be called before each small piece of work: returns at once, or after others have run.
    pub async fn go_on(&mut self) {
        if self.turn.is_some() && self.since.elapsed() < SLICE {
            return;
        }
        self.rest();
        self.turn = self.shared.turns.take(&self.tenant).await;
        // Only now: a task that yields runs after all that are ready, and after a look at the sockets. One that is woken by
        // the holder of the turn before would run at once, and nobody would look at the sockets as long as bulks compute.
        tokio::task::yield_now().await;
        self.since = Instant::now();
        self.is_over = self.looks_over();
    }

    /// Whether the service stops, and the time in which a bulk may still end by itself is over.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn looks_over(&mut self) -> bool {
        let stop_bulk = Duration::from_millis(self.shared.config.bodies.stop_bulk_ms);
        let now = self.since;
        self.shared.shutdown.is_begun() && now - *self.stopping_since.get_or_insert(now) >= stop_bulk
    }

    /// Gives the turn back: what comes next may wait.
    pub fn rest(&mut self) {
        self.turn = None;
    }
}
