//! Readers, and what they are told.

use rand::{RngExt, rngs::StdRng};

use super::{
    Moment, Query, Surroundings,
    asked::{Asked, Key, Value, anything, one_day},
    fills::{Beginning, Fill},
};
use crate::{
    notice::Changed,
    query::{Reading, Stamp},
    simulation::{
        Violation,
        judge::{account_key, date_of},
        log::{Log, pick},
        oracle::Day,
    },
};

/// So many read at once.
const MOST_FILLS: usize = 6;

impl Query {
    pub(super) fn read(&mut self, rng: &mut StdRng, moment: &Moment<'_>) -> Result<(), Violation> {
        let Moment { now_ms, store, log, .. } = *moment;
        if self.fills.len() == MOST_FILLS {
            return Ok(());
        }
        let Some((key, minimum)) = self.lists.next_page(rng).or_else(|| self.ask(rng, log)) else { return Ok(()) };
        self.asked_last = Some(key.clone());
        if !self.lane.hears_notices(now_ms) && self.rules.silent_readers_read_progress {
            let ticket = self.lane.begin_progress_read();
            let _outdated = self.learn(ticket, store.partition_state(self.partition).progress.as_ref());
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
                let nobody_knew = self.nobody_knows(ticket.stamp().position, moment);
                let beginning = Beginning { is_believed, nobody_knew, store };
                self.fills.push(Fill::new(ticket, minimum, beginning, self.rules));
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

    /// Something about an account that the log names, and the position demanded.
    fn ask(&self, rng: &mut StdRng, log: &Log) -> Option<(Key, u64)> {
        if let Some(key) = self.asked_last.as_ref().filter(|_| rng.random_bool(0.4)) {
            return Some((key.clone(), self.demand(rng, log)));
        }
        let (account, day) = log.truths[usize::from(self.partition)].some_window(rng)?;
        let day = if rng.random_bool(0.2) { *pick(rng, &log.days) } else { day };
        let dates: Vec<_> = log.days.iter().map(|day| date_of(*day)).collect();
        let key = anything(rng, account_key(account).clone(), date_of(day), &dates);
        Some((key, self.demand(rng, log)))
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
        let is_served = |(account, day): &&&(usize, Day)| {
            let key = one_day(account_key(*account).clone(), date_of(*day));
            !matches!(self.lane.read(&key, 0, now_ms), Reading::Stopped)
        };
        match windows.iter().find(is_served) {
            Some(window) => Err(Violation(format!("{window:?} of a refused lane can be read"))),
            None => Ok(()),
        }
    }

    /// Nobody is answered where a worker has said that nothing may be told; everybody else is.
    fn check_withheld(&self, key: &Key, reading: &Reading<Asked, Value>, moment: &Moment<'_>) -> Result<(), Violation> {
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
        key: &Key,
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
        key: &Key,
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
        self.check_value(key, value, stamp, moment)?;
        self.lists.note(key, value, stamp, moment)
    }

    /// What is kept holds everything up to the position that it would be answered with.
    pub(super) fn check_cache(&self, stamp: Stamp, moment: &Moment<'_>) -> Result<(), Violation> {
        let Moment { now_ms, surroundings, .. } = *moment;
        let cached = self.lane.cached(now_ms).filter(|(key, _)| !surroundings.damaged.contains(&key.account));
        cached.into_iter().try_for_each(|(key, value)| self.check_value(&key, value, stamp, moment))
    }
}
