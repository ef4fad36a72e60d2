//! What was posted, and what of it was acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use protocol::position::Position;

use super::report::Report;
use crate::model::Launch;

/// What makes a launch the same one: account, date, id.
pub type Key = (String, String, String);

/// The key of a launch.
pub fn key(launch: &Launch) -> Key {
    (launch.account.clone(), launch.date.clone(), launch.id.clone())
}

/// That a caller was told that a launch is kept.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The position that the answer named.
    pub position: Position,
    /// When the answer had come.
    pub at: Instant,
}

/// One content that was posted under a key.
#[derive(Clone, Debug)]
pub struct Posted {
    pub launch: Launch,
    /// The first acknowledgement; none if there was never an answer, or only refusals.
    pub acknowledged: Option<Acknowledged>,
}

/// Everything that was posted, by key: one content, or several that contradict each other.
#[derive(Debug, Default)]
pub struct Book {
    posted: Mutex<BTreeMap<Key, Vec<Posted>>>,
    latest: Mutex<BTreeMap<String, Position>>,
    losses: Mutex<Vec<Instant>>,
    report: Mutex<Report>,
}

impl Book {
    /// To be called before a launch is sent.
    pub fn note_posted(&self, launch: &Launch) {
        let mut posted = self.posted();
        let contents = posted.entry(key(launch)).or_default();
        if !contents.iter().any(|known| known.launch == *launch) {
            contents.push(Posted { launch: launch.clone(), acknowledged: None });
        }
    }

    /// To be called when a launch is acknowledged.
    pub fn note_acknowledged(&self, launch: &Launch, position: &Position) {
        let mut posted = self.posted();
        let contents = posted.entry(key(launch)).or_default();
        if let Some(known) = contents.iter_mut().find(|known| known.launch == *launch) {
            let acknowledged = || Acknowledged { position: position.clone(), at: Instant::now() };
            known.acknowledged.get_or_insert_with(acknowledged);
            self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(launch.account.clone(), position.clone());
        }
    }

    /// The position of the launch of this account that was acknowledged last.
    pub fn latest(&self, account: &str) -> Option<Position> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// All that was posted.
    pub fn posted(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<Posted>>> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before the store loses rows that were readable. Nobody is promised then that what was read is read again:
    /// only what a position covers, which a reader passes on. An answer may hold more than its position says.
    pub fn note_loss(&self) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }

    /// When the store lost rows, in order.
    pub fn losses(&self) -> Vec<Instant> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What callers saw.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
