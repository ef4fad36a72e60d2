//! What must hold, looked at whenever it could break.

use std::collections::BTreeMap;

use ledger::{Balance, BusinessDate, Grain, RowKey};

use super::{Checked, World};
use crate::{
    commit::{AccountBatch, RollupBatch},
    lane::partition_of,
    notice::Notice,
    simulation::{
        Violation,
        judge::{account_of, currency_of, span_of, sums_of},
        oracle::Truth,
        readers::Query,
        store::Put,
        tables::Tables,
    },
};

/// A replay that has fallen silent gives way after five seconds.
const HEARTBEATS_AT_END: usize = 7;

impl World {
    pub(super) fn note_claim(&mut self, put: &Put) {
        let (lane, sequence) = match put {
            Put::Head(lane, mark) => (lane, mark.sequence),
            Put::Progress(lane, progress) => (lane, progress.sequence),
            _ => return,
        };
        let highest = self.highest_claim.entry(usize::from(*lane)).or_default();
        *highest = sequence.max(*highest);
    }

    /// Whoever reads progress may believe it, as long as its writer knows the store's state.
    pub(super) fn check_claim(&self, index: usize, puts: &[Put]) -> Checked {
        let knows_the_store = self.drivers[index].generations == self.store.generations();
        for put in puts {
            if let Put::Progress(lane, progress) = put
                && knows_the_store
                && self.doomed.is_empty()
            {
                self.check_complete(self.store.current(), *lane, progress.sequence)?;
            }
        }
        Ok(())
    }

    /// An account's rows, read at one moment, are the fold of the log up to their static `applied`, all together. (Where a
    /// node has crashed this holds again when every worker has heard of it.)
    pub(super) fn check_view(&self, put: &Put) -> Checked {
        let Put::Balances(batch) = put else { return Ok(()) };
        if (self.store_crashes > 0 && !self.is_atomic()) || self.damaged.contains(&batch.key) {
            return Ok(());
        }
        let lane = partition_of(&batch.key, self.log.identity.partitions);
        let whole = Grain::ALL.map(|grain| (grain, BusinessDate::MIN, BusinessDate::MAX));
        let (applied, rows) = self.store.account_view(&batch.key, &whole);
        let plain =
            |(key, balance): &(RowKey, Balance)| ((span_of(key), currency_of(key.currency)), sums_of(&balance.totals));
        let rows: BTreeMap<_, _> = rows.iter().map(plain).collect();
        let truth = &self.log.truths[usize::from(lane)];
        let expected = truth.account_rows(account_of(&batch.key), applied.unwrap_or(0));
        if rows == expected {
            return Ok(());
        }
        Err(Violation(format!("{:?} at {applied:?} is {rows:?}, the fold says {expected:?}", batch.key)))
    }

    pub(super) fn check_put(&self, put: &Put) -> Checked {
        match put {
            Put::Progress(lane, progress) => self.check_parked(*lane, progress.sequence),
            Put::Checkpoint(lane, mark) => {
                let tables = if self.is_atomic() { self.store.current() } else { self.store.durable() };
                self.check_complete(tables, *lane, mark.sequence)
                    .map_err(|Violation(what)| Violation(format!("checkpoint {} is not safe: {what}", mark.sequence)))
            }
            // A damaged account is stopped, and nothing more of it counted.
            Put::Rollups(_, batch) if self.damaged.iter().any(|account| account.tenant == batch.tenant) => Ok(()),
            Put::Journal(_) | Put::Balances(_) | Put::Rollups(..) | Put::Account(_) | Put::Head(..) => {
                let fits = |truth: &Truth| truth.check_put(put);
                let errors: Vec<String> = self.log.truths.iter().filter_map(|truth| fits(truth).err()).collect();
                if errors.len() < self.log.truths.len() { Ok(()) } else { Err(Violation(errors.join("; "))) }
            }
        }
    }

    pub(super) fn check_complete(&self, tables: &Tables, lane: u16, upto: u64) -> Checked {
        let truth = &self.log.truths[usize::from(lane)];
        truth.check_complete(tables, upto, self.bounds.bucket_facts, &self.damaged).map_err(Violation)
    }

    pub(super) fn check_parked(&self, lane: u16, upto: u64) -> Checked {
        for (sequence, lines) in self.log.truths[usize::from(lane)].bad.range(..=upto) {
            let is_folded = |line: &u32| !self.damaged.iter().any(|account| self.log.is_of(*sequence, *line, account));
            let lines: Vec<u32> = lines.iter().copied().filter(is_folded).collect();
            let parked = self.parked.get(&(lane, *sequence)).into_iter().flat_map(|parked| &parked.lines);
            let parked: Vec<u32> = parked.map(|line| line.line).filter(is_folded).collect();
            if parked != lines && !self.parked_of_lost.contains(&(lane, *sequence)) {
                return Err(Violation(format!("lines {lines:?} of {sequence} are bad, parked are {parked:?}")));
            }
        }
        Ok(())
    }

    /// A notice claims that everything up to its end can be read.
    pub(super) fn notify(&mut self, index: usize, notice: &Notice) -> Checked {
        let lane = notice.partition;
        self.publish(index, notice.clone());
        if self.doomed.contains(&lane) {
            return Ok(());
        }
        if let Some(account) = notice.stopped.iter().find(|account| !self.damaged.contains(account)) {
            return Err(Violation(format!("worker {index} has stopped {account:?}")));
        }
        self.log.truths[usize::from(lane)].check_notice(notice).map_err(Violation)?;
        let knows_the_store = self.drivers[index].generations == self.store.generations();
        if knows_the_store { self.check_complete(self.store.current(), lane, notice.to) } else { Ok(()) }
    }

    pub(super) fn progress_of_lanes(&self) -> Vec<u64> {
        let of_lane = |lane| self.store.partition_state(lane).progress.map_or(0, |progress| progress.sequence);
        (0..self.log.identity.partitions).map(of_lane).collect()
    }

    /// Whoever writes progress without knowing that the store has forgotten rows may claim what is not there.
    pub(super) fn note_lies(&mut self, before: &[u64]) {
        if self.is_atomic() || self.store_crashes == 0 || !self.doomed.is_empty() {
            return;
        }
        for (lane, (before, after)) in (0..).zip(before.iter().zip(self.progress_of_lanes())) {
            if after != *before && self.check_complete(self.store.current(), lane, after).is_err() {
                self.queries[usize::from(lane)].progress_lies(after);
            }
        }
    }

    pub(super) fn check_end(&mut self) -> Checked {
        self.check_queries_at_end()?;
        if !self.doomed.is_empty() {
            return Ok(());
        }
        for lane in 0..self.log.identity.partitions {
            let end = self.log.end_of_lane(lane);
            self.check_complete(self.store.current(), lane, end)?;
            self.check_parked(lane, end)?;
            let progress = self.store.partition_state(lane).progress.map_or(0, |progress| progress.sequence);
            if progress != end {
                return Err(Violation(format!("lane {lane} ends at {end}, its progress is {progress}")));
            }
        }
        self.check_rows_at_end()
    }

    /// Notices may have vanished, but heartbeats go on: every query comes to know where its lane stands.
    fn check_queries_at_end(&mut self) -> Checked {
        self.queries.iter_mut().for_each(Query::lose_all);
        for _ in 0..HEARTBEATS_AT_END {
            self.now_ms += 1_000;
            (0..self.drivers.len()).for_each(|index| self.send_heartbeat(index));
            self.queries.iter_mut().for_each(|query| query.deliver_all(self.now_ms, &self.store));
        }
        for lane in 0..self.log.identity.partitions {
            let query = &mut self.queries[usize::from(lane)];
            if self.doomed.contains(&lane) {
                query.check_refused(self.now_ms, &self.log)?;
            } else {
                query.check_end(self.now_ms, self.log.end_of_lane(lane), self.has_lost_end)?;
            }
        }
        Ok(())
    }

    /// Not a row more than the fold has, and each as the fold has it.
    pub(super) fn check_rows_at_end(&self) -> Checked {
        let tables = self.store.current();
        let balances = tables.balances.iter().map(|(key, owner)| {
            Put::Balances(AccountBatch {
                key: key.clone(),
                applied: owner.applied,
                rows: owner.rows.iter().map(|(key, balance)| (*key, *balance)).collect(),
            })
        });
        let rollups = tables.rollups.iter().map(|((tenant, lane), owner)| {
            let rows = owner.rows.iter().map(|(key, balance)| (*key, *balance)).collect();
            Put::Rollups(*lane, RollupBatch { tenant: tenant.clone(), applied: owner.applied, rows })
        });
        let is_damaged = |put: &Put| matches!(put, Put::Balances(batch) if self.damaged.contains(&batch.key));
        balances.chain(rollups).filter(|put| !is_damaged(put)).try_for_each(|put| self.check_put(&put))
    }
}
