//! Readers, and what they are told.

use ledger::{AccountKey, BusinessDate, Grain, WindowKey};
use rand::{RngExt, rngs::StdRng};

use super::{
    Moment, Query, Surroundings,
    fills::{Fill, Read, Value},
};
use crate::{
    notice::Changed,
    query::{EntryKey, Reading, Stamp},
    simulation::{Violation, log::Log, log::pick, truth::Truth},
};

impl Query {
    pub(super) fn read(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        let Moment { now_ms, store, log, .. } = *moment;
        let truth = &log.truths[usize::from(self.partition)];
        let Some((account, date)) = truth.some_window(rng) else { return Ok(()) };
        let key = EntryKey { account, until: date, representation: () };
        let minimum = self.demand(rng, log);
        if !self.lane.hears_notices(now_ms) && self.rules.silent_readers_read_progress {
            let ticket = self.lane.begin_progress_read();
            self.lane.finish_progress_read(ticket, store.partition_state(self.partition).progress.as_ref());
        }
        let is_believed = !self.belief.is_doubted();
        let reading = self.lane.read(&key, minimum, now_ms);
        self.check_withheld(&key, &reading, moment)?;
        match reading {
            Reading::Cached(value, stamp) => {
                if is_believed {
                    self.check_silence(&key, Some(&value), stamp, moment)?;
                    self.check_completeness(stamp, now_ms)?;
                    self.answer(&key, &value, stamp, minimum, moment)?;
                }
            }
            Reading::Fill(ticket) => {
                if is_believed {
                    self.check_silence(&key, None, ticket.stamp(), moment)?;
                    self.check_completeness(ticket.stamp(), now_ms)?;
                }
                self.fills.push(Fill { ticket, minimum, is_believed, read: Read::Nothing });
            }
            Reading::Join(id) => {
                for fill in self.fills.iter_mut().filter(|fill| fill.ticket.id() == id) {
                    fill.minimum = fill.minimum.max(minimum);
                }
            }
            Reading::Wait | Reading::Stopped => {}
        }
        Ok(())
    }

    /// A reader demands nothing, the position that it was told last, or that of some write.
    fn demand(&self, rng: &mut StdRng, log: &Log) -> u64 {
        match rng.random_range(0..10) {
            0..4 => 0,
            4..8 => self.last_position,
            _ => rng.random_range(0..=log.end_of_lane(self.partition)),
        }
    }

    /// Every worker is at the end of the lane, and has said so.
    pub(crate) fn check_end(&self, now_ms: u64, end: u64, has_lost_end: bool) -> Result<(), Violation> {
        let stamp = self.lane.stamp(now_ms);
        // An end that the log has lost is believed until the lane has passed it.
        if stamp.position == end && (stamp.complete || has_lost_end) {
            return Ok(());
        }
        Err(Violation(format!("a query believes {stamp:?} of a lane that ends at {end}")))
    }

    /// Every worker has refused, and has said so.
    pub(crate) fn check_refused(&mut self, now_ms: u64, log: &Log) -> Result<(), Violation> {
        let windows: Vec<_> = log.truths[usize::from(self.partition)].touched.values().flatten().collect();
        let is_served = |(account, date): &&&(AccountKey, BusinessDate)| {
            let key = EntryKey { account: account.clone(), until: *date, representation: () };
            !matches!(self.lane.read(&key, 0, now_ms), Reading::Stopped)
        };
        match windows.iter().find(is_served) {
            Some(window) => Err(Violation(format!("{window:?} of a refused lane can be read"))),
            None => Ok(()),
        }
    }

    /// Nobody is answered where a worker has said that nothing may be told; everybody else is.
    fn check_withheld(
        &self,
        key: &EntryKey<()>,
        reading: &Reading<(), Value>,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let is_stopped = matches!(reading, Reading::Stopped);
        let last = self.last_heard.as_ref();
        let is_refused = last.is_some_and(|notice| notice.changed == Changed::Refused);
        let must_stop = is_refused || last.is_some_and(|notice| notice.stopped.contains(&key.account));
        let may_stop = is_refused || moment.surroundings.damaged.contains(&key.account);
        if is_stopped && !may_stop {
            return Err(Violation(format!("{:?} is said to be stopped", key.account)));
        }
        if must_stop && !is_stopped {
            return Err(Violation(format!(
                "a reader of {:?} is served although it was told to be stopped",
                key.account
            )));
        }
        Ok(())
    }

    /// While nobody is heard, an answer is as new as the store when it was asked for.
    fn check_silence(
        &self,
        key: &EntryKey<()>,
        cached: Option<&Value>,
        stamp: Stamp,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let Moment { now_ms, store, surroundings, .. } = *moment;
        if self.is_told(now_ms) {
            return Ok(());
        }
        let stored = store.partition_state(self.partition).progress.map_or(0, |progress| progress.sequence);
        let (applied, _) = store.account_view(&key.account, &[]);
        let is_older = cached.is_some_and(|value| value.applied < applied);
        // A replay may have lowered the position. Where commits are wholes, and no stopped account holds the checkpoint, there
        // are none.
        let has_replays = !surroundings.damaged.is_empty();
        if is_older || (self.is_atomic && !has_replays && stamp.position < stored) {
            return Err(Violation(format!("in silence {:?} is told of {stamp:?}, stored is {stored}", key.account)));
        }
        Ok(())
    }

    /// Who is told that an answer is complete gets all that the log held when somebody, heard of late, was told its end.
    fn check_completeness(&self, stamp: Stamp, now_ms: u64) -> Result<(), Violation> {
        if !stamp.complete {
            return Ok(());
        }
        let told = self.heard.iter().filter(|(heard_ms, _)| now_ms - heard_ms < super::HEARTBEAT_SILENCE_MS);
        let Some(end) = told.map(|(_, end)| *end).max() else {
            return Err(Violation(format!("{stamp:?} is said to be complete, and nobody was heard of late")));
        };
        if stamp.position < end {
            return Err(Violation(format!("{stamp:?} is said to be complete, the lane ended at {end}")));
        }
        Ok(())
    }

    /// An answer is at least as new as demanded, and holds everything up to its position.
    pub(super) fn answer(
        &mut self,
        key: &EntryKey<()>,
        value: &Value,
        stamp: Stamp,
        minimum: u64,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let Surroundings { is_doomed, damaged, .. } = moment.surroundings;
        if is_doomed || damaged.contains(&key.account) {
            return Ok(());
        }
        if stamp.position < minimum {
            let what = format!("{:?} up to {} at {stamp:?}", key.account, key.until);
            return Err(Violation(format!("a reader who demands {minimum} is told of {what}")));
        }
        self.last_position = self.last_position.max(stamp.position);
        self.check_value(key, value, stamp, moment)
    }

    /// What is kept holds everything up to the position that it would be answered with.
    pub(super) fn check_cache(&self, stamp: Stamp, moment: &Moment<'_>) -> Result<(), Violation> {
        let Moment { now_ms, log, surroundings, .. } = *moment;
        let windows = log.truths[usize::from(self.partition)].touched.values().flatten();
        for (account, date) in windows.filter(|(account, _)| !surroundings.damaged.contains(account)) {
            let key = EntryKey { account: account.clone(), until: *date, representation: () };
            if let Some(value) = self.lane.peek(&key, now_ms) {
                self.check_value(&key, value, stamp, moment)?;
            }
        }
        Ok(())
    }

    fn check_value(
        &self,
        key: &EntryKey<()>,
        value: &Value,
        stamp: Stamp,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let Moment { log, surroundings, .. } = *moment;
        let truth = &log.truths[usize::from(self.partition)];
        let expected = truth.value(key, value.applied.unwrap_or(0).max(stamp.position));
        if value.holds(&expected) || (surroundings.has_forgotten && truth.is_between(key, value, stamp.position)) {
            return Ok(());
        }
        let what = format!("{:?} up to {} at {stamp:?}", key.account, key.until);
        Err(Violation(format!("a reader is told of {what}: {value:?}, the fold says {expected:?}")))
    }
}

impl Truth {
    /// A window that some entry names.
    fn some_window(&self, rng: &mut StdRng) -> Option<(AccountKey, BusinessDate)> {
        let touched: Vec<&(AccountKey, BusinessDate)> = self.touched.values().flatten().collect();
        if touched.is_empty() { None } else { Some((*pick(rng, &touched)).clone()) }
    }

    /// What an answer up to a sequence holds.
    fn value(&self, key: &EntryKey<()>, upto: u64) -> Value {
        let mut rows = self.account_rows(&key.account, upto);
        rows.retain(|row, _| row.grain == Grain::Day && row.start <= key.until);
        let (tenant, account) = (key.account.tenant.clone(), key.account.account.clone());
        let launches = self.launches(&WindowKey { tenant, account, date: key.until }, upto);
        Value { applied: None, rows, launches }
    }

    /// Where a store has forgotten rows, what lies above the position may be there in part, because a worker wrote it that
    /// did not know.
    fn is_between(&self, key: &EntryKey<()>, value: &Value, position: u64) -> bool {
        let upto = value.applied.unwrap_or(0).max(position);
        let versions: Vec<Value> = (position..=upto).map(|upto| self.value(key, upto)).collect();
        let (Some(least), Some(most)) = (versions.first(), versions.last()) else { return false };
        let is_fold = |(row, totals)| versions.iter().any(|version| version.rows.get(row) == Some(totals));
        value.rows.iter().all(is_fold)
            && least.rows.keys().all(|row| value.rows.contains_key(row))
            && least.launches.iter().all(|place| value.launches.contains(place))
            && value.launches.iter().all(|place| most.launches.contains(place))
    }
}
