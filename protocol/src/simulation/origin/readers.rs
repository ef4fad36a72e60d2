//! Readers, and what they are told.

use ledger::BusinessDate;
use rand::{RngExt, rngs::StdRng};

use super::{
    Checked,
    driver::{Moment, Query, Service, Value},
    judge::Told,
    violation,
};
use crate::{
    lane::partition_of,
    log::LogIdentity,
    position::Position,
    query::{Demand, DemandError, EntryKey, FillOutcome, FillTicket, Reading},
    simulation::log::pick,
};

/// So many read at once.
const MOST_FILLS: usize = 6;
const BYTES_OF_A_VALUE: usize = 100;

/// A read of the store for everybody who wants the same.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) layout: u64,
    log: LogIdentity,
    account: usize,
    ticket: FillTicket<()>,
    /// What its readers demand.
    demands: Vec<Option<Position>>,
    /// What was read, once it was.
    value: Option<Value>,
}

impl Query {
    /// A reader comes. `told` are the positions that readers were ever given.
    pub(super) fn read(&mut self, rng: &mut StdRng, moment: &Moment<'_>, told: &mut Vec<Position>) -> Checked {
        let account = rng.random_range(0..moment.logs.accounts().len());
        let demanded = some_demand(rng, moment, account, told);
        let Service::Lanes(number) = self.service else { return Ok(()) };
        self.check_service(moment)?;
        let Some(lanes) = self.layouts.get(&number) else { return Ok(()) };
        let (log, count) = (lanes.log.clone(), lanes.count());
        let demand = match self.demand(demanded.clone(), &log, count) {
            Ok(demand) => demand,
            Err(error) => return check_refused(error, demanded.as_ref(), &log),
        };
        let key = moment.logs.accounts()[account].clone();
        let partition = partition_of(&key, count);
        let minimum = demand.of_lane(partition);
        let hears = |lanes: &super::driver::Lanes| lanes.lanes[usize::from(partition)].hears_notices(moment.now_ms);
        if !self.layouts.get(&number).is_some_and(hears) && !self.read_progress(number, partition, moment) {
            return Ok(());
        }
        let key = EntryKey { account: key, until: BusinessDate::MAX, representation: () };
        let Some(lanes) = self.layouts.get_mut(&number) else { return Ok(()) };
        match lanes.lanes[usize::from(partition)].read(&key, minimum, moment.now_ms) {
            Reading::Cached(value, stamp) => {
                let answer = Told { log: &log, account, stamp, value: &value };
                answer.check(demanded.as_ref(), moment)?;
                told.push(Position::of_lane(log.name(), partition, stamp.position));
            }
            Reading::Fill(ticket) if self.fills.len() < MOST_FILLS => {
                let demands = vec![demanded];
                self.fills.push(Fill { layout: number, log, account, ticket, demands, value: None });
            }
            Reading::Fill(ticket) => lanes.lanes[usize::from(partition)].abandon_fill(ticket),
            Reading::Join(id) => {
                let is_it = |fill: &&mut Fill| {
                    fill.layout == number && fill.ticket.id() == id && fill.ticket.key().account == key.account
                };
                self.fills.iter_mut().filter(is_it).for_each(|fill| fill.demands.push(demanded.clone()));
            }
            Reading::Wait | Reading::Stopped => {}
        }
        Ok(())
    }

    fn demand(&self, demanded: Option<Position>, log: &LogIdentity, count: u16) -> Result<Demand, DemandError> {
        let Some(position) = demanded else { return Ok(Demand::nothing()) };
        let is_compared = self.switches.driver.positions_name_their_log;
        let position = if is_compared { position } else { Position { log: log.name(), ..position } };
        Demand::at_least(position, log.name(), count)
    }

    /// A fill reads, or ends.
    pub(super) fn go_on_with_a_fill(
        &mut self,
        rng: &mut StdRng,
        moment: &Moment<'_>,
        told: &mut Vec<Position>,
    ) -> Checked {
        if self.fills.is_empty() {
            return Ok(());
        }
        let index = rng.random_range(0..self.fills.len());
        if self.fills[index].value.is_none() {
            self.fills[index].value = Some(moment.store.rows(self.fills[index].account));
            return Ok(());
        }
        let Fill { layout, log, account, ticket, demands, value } = self.fills.swap_remove(index);
        let value = value.unwrap_or_default();
        let Some(lanes) = self.layouts.get_mut(&layout) else { return violation(format!("no lanes of {log}")) };
        let partition = partition_of(&ticket.key().account, lanes.count());
        let kept = value.applied.is_some().then(|| (value.clone(), BYTES_OF_A_VALUE));
        let outcome = lanes.lanes[usize::from(partition)].finish_fill(ticket, kept, moment.now_ms);
        self.forget_layouts();
        // Whoever begins anew is another reader here.
        let FillOutcome::Answer(stamp) = outcome else { return Ok(()) };
        let answer = Told { log: &log, account, stamp, value: &value };
        told.push(Position::of_lane(log.name(), partition, stamp.position));
        demands.iter().try_for_each(|demanded| answer.check(demanded.as_ref(), moment))
    }
}

/// Nothing, what some reader was told, or the position of a write; of any log.
fn some_demand(rng: &mut StdRng, moment: &Moment<'_>, account: usize, told: &[Position]) -> Option<Position> {
    match rng.random_range(0..10) {
        0..3 => None,
        3..6 if !told.is_empty() => Some(pick(rng, told).clone()),
        _ => moment.logs.some_position(rng, account),
    }
}

/// Only what is of another log is refused: every position was given out by the log that it names.
fn check_refused(error: DemandError, demanded: Option<&Position>, log: &LogIdentity) -> Checked {
    let is_of_another = demanded.is_some_and(|position| position.log != log.name());
    if error == DemandError::OtherLog && is_of_another {
        return Ok(());
    }
    violation(format!("{demanded:?} is refused of {log}: {error}"))
}
