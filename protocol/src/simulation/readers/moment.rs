//! When something happens at the far end, and what there is around it then.

use std::collections::BTreeSet;

use ledger::AccountKey;

use crate::simulation::{log::Log, store::SimulatedStore};

/// A moment at which something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) now_ms: u64,
    pub(crate) store: &'a SimulatedStore,
    pub(crate) log: &'a Log,
    pub(crate) surroundings: Surroundings<'a>,
}

/// What the world knows of a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// A worker lives that has not heard that the store forgot rows.
    pub(crate) has_unknowing: bool,
    /// The store commits step by step and has forgotten rows.
    pub(crate) has_forgotten: bool,
    /// The store was filled from what the log has lost.
    pub(crate) is_doomed: bool,
    /// Accounts whose rows were damaged.
    pub(crate) damaged: &'a BTreeSet<AccountKey>,
    /// The highest head or progress that a store which commits step by step has forgotten.
    pub(crate) lost_claim: u64,
    pub(crate) bucket_facts: u64,
}
