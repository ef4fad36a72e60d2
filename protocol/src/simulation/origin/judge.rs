//! Whether what is told is so.

use super::{
    Checked,
    driver::{Moment, Query, Value},
    violation,
};
use crate::{log::LogIdentity, position::Position, query::Stamp};

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) log: &'a LogIdentity,
    pub(super) account: usize,
    pub(super) stamp: Stamp,
    pub(super) value: &'a Value,
}

impl Told<'_> {
    pub(super) fn check(&self, demanded: Option<&Position>, moment: &Moment<'_>) -> Checked {
        let Self { log, account, stamp, value } = self;
        let Some(known) = moment.logs.of(log) else { return violation(format!("there never was {log}")) };
        if let Some(position) = demanded {
            let lane = moment.logs.lane_of(*account, log.partitions);
            let least = position.lanes.get(&lane).copied().unwrap_or(0);
            if position.log != log.name() || stamp.position < least {
                return violation(format!("{demanded:?} is answered by {self:?}"));
            }
        }
        let upto = stamp.position.max(value.applied.unwrap_or(0));
        let claims_nothing = stamp.position == 0;
        let is_of_some_log = || moment.logs.all().iter().any(|log| log.content(*account, upto) == value.content);
        if known.content(*account, upto) == value.content || (claims_nothing && is_of_some_log()) {
            return Ok(());
        }
        violation(format!("a reader is told {self:?}, the log says {:?}", known.content(*account, upto)))
    }
}

impl Query {
    /// Whether anything may be answered, and for which log.
    pub(super) fn check_service(&self, moment: &Moment<'_>) -> Checked {
        let Some(lanes) = self.present() else { return Ok(()) };
        if lanes.count() != lanes.log.partitions {
            return violation(format!("{} has {} lanes here", lanes.log, lanes.count()));
        }
        match &self.said {
            Some(said) if *said != lanes.log => {
                return violation(format!("{} is served, the stream says {said}", lanes.log));
            }
            None if moment.now_ms < self.waits_until_ms => {
                return violation(format!("{} is served before the stream could say anything", lanes.log));
            }
            _ => {}
        }
        let Some(began) = self.scanned else { return violation("an unread store is served".to_owned()) };
        if !self.found_any && self.renamed.is_some_and(|renamed| began < renamed) {
            return violation(format!("{} is served from a store that was empty for another log", lanes.log));
        }
        if moment.store.changed < began && moment.store.holds_other_than(&lanes.log) {
            return violation(format!("{} is served from a store of another log", lanes.log));
        }
        Ok(())
    }
}
