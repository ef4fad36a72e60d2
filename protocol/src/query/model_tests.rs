//! The lane against a small world: a log, a store that a worker fills commit by commit and that may lose rows, notices
//! that come late or not at all, readers at every moment. No answer may lack an entry that its position covers, and none
//! may be older than its reader demanded. Each rule left out is seen to break this.

use std::collections::VecDeque;

use ledger::{Account, AccountKey, BusinessDate, Tenant};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use smol_str::SmolStr;

use super::*;
use crate::{
    commit::Progress,
    log::{Incarnation, LogIdentity, LogName},
    notice::{Changed, ChangedAccount, Notice},
};

const ACCOUNTS: usize = 3;
const DAYS: i32 = 3;
const STEPS: usize = 300;

/// What an answer holds: the account's rows as of this sequence.
type Value = u64;

struct Fill {
    ticket: FillTicket<()>,
    minimum: u64,
    read: Option<Value>,
    /// Begun after a loss that nobody had announced.
    unsettled: bool,
}

struct World {
    random: StdRng,
    now_ms: u64,
    /// Account and day of the entry at sequence index + 1.
    log: Vec<(usize, i32)>,
    /// The stamp of each account's rows: they hold its entries up to there.
    rows: [u64; ACCOUNTS],
    progress: u64,
    /// Rows and sequence as of the checkpoint: what a loss leaves.
    durable: ([u64; ACCOUNTS], u64),
    /// How far the worker has committed, and the progress that it found.
    worker: u64,
    found: u64,
    /// How often a worker has started.
    starts: u64,
    /// Accounts of the commit under way and its end.
    commit: Option<(Vec<usize>, u64)>,
    notices: VecDeque<Notice>,
    lane: QueryLane<(), Value>,
    fills: Vec<Fill>,
    progress_read: Option<(ProgressTicket, Option<u64>)>,
    /// After a loss that nobody announces: until the worker has passed this, answers may claim too much.
    unsettled_below: u64,
    faults: usize,
}

fn account(index: usize) -> AccountKey {
    AccountKey { tenant: Tenant::parse("t").unwrap(), account: Account::parse(&format!("a{index}")).unwrap() }
}

fn number(key: &EntryKey<()>) -> usize {
    (0..ACCOUNTS).find(|index| account(*index) == key.account).unwrap()
}

impl World {
    fn new(seed: u64, rules: QueryRules) -> Self {
        let settings = LaneSettings {
            generation: 1,
            log: LogName { epoch: 1, incarnation: Incarnation::of("s") },
            partition: 0,
            cache_bytes: 6 * 600,
            commits_are_whole: false,
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            now_ms: 0,
            log: Vec::new(),
            rows: [0; ACCOUNTS],
            progress: 0,
            durable: ([0; ACCOUNTS], 0),
            worker: 0,
            found: 0,
            starts: 1,
            commit: None,
            notices: VecDeque::new(),
            lane: QueryLane::with_rules(settings, rules),
            fills: Vec::new(),
            progress_read: None,
            unsettled_below: 0,
            faults: 0,
        }
    }

    fn step(&mut self) {
        self.now_ms += self.random.random_range(0..400);
        match self.random.random_range(0..100) {
            0..18 => self.append(),
            18..40 => self.work(),
            40..58 => self.deliver(),
            58..60 => self.lose_notices(),
            60..62 => self.heartbeat(),
            62 => self.move_checkpoint(),
            63 => self.crash(),
            64 => self.lose_rows(),
            65..69 => self.read_progress(),
            69..83 => self.reader(),
            _ => self.go_on_with_a_fill(),
        }
    }

    fn append(&mut self) {
        let entry = (self.random.random_range(0..ACCOUNTS), self.random.random_range(0..DAYS));
        self.log.push(entry);
    }

    /// One step of the worker: an account's batch, or progress and notice.
    fn work(&mut self) {
        let end = self.log.len() as u64;
        match &mut self.commit {
            None if self.worker < end => {
                let to = self.random.random_range(self.worker + 1..=end);
                let touched = (0..ACCOUNTS).filter(|account| self.touched(*account, to).is_some()).collect();
                self.commit = Some((touched, to));
            }
            None => {}
            Some((accounts, to)) => match accounts.pop() {
                Some(account) => self.rows[account] = self.rows[account].max(*to),
                None => self.end_commit(),
            },
        }
    }

    /// The earliest day of the account's entries in (worker, to].
    fn touched(&self, account: usize, to: u64) -> Option<i32> {
        let range = usize::try_from(self.worker).unwrap()..usize::try_from(to).unwrap();
        self.log[range].iter().filter(|entry| entry.0 == account).map(|entry| entry.1).min()
    }

    fn end_commit(&mut self) {
        let Some((_, to)) = self.commit.take() else { return };
        self.progress = self.progress.max(to);
        let changed = (0..ACCOUNTS).filter_map(|index| {
            let AccountKey { tenant, account } = account(index);
            self.touched(index, to).map(|day| ChangedAccount { tenant, account, date: date(day) })
        });
        let changed = Changed::Accounts(changed.collect());
        let notice = self.notice(self.worker, to, changed);
        self.worker = to;
        self.notices.push_back(notice);
    }

    fn notice(&self, from: u64, to: u64, changed: Changed) -> Notice {
        Notice {
            log_is_whole: None,
            generation: 1,
            epoch: 1,
            incarnation: Some(Incarnation::of("s")),
            partition: 0,
            worker: Some(self.starts),
            from,
            to,
            time_ms: 1,
            end: self.log.len() as u64,
            replaying: to < self.found,
            changed,
            stopped: Vec::new(),
        }
    }

    fn heartbeat(&mut self) {
        let notice = self.notice(self.worker, self.worker, Changed::Accounts(Vec::new()));
        self.notices.push_back(notice);
    }

    fn deliver(&mut self) {
        let Some(notice) = self.notices.pop_front() else { return };
        let effect = self.lane.on_notice(&notice, self.now_ms);
        if effect.may_have_gone_back && self.progress_read.is_none() {
            self.progress_read = Some((self.lane.begin_progress_read(), None));
        }
    }

    /// Some notices vanish; often nobody says so.
    fn lose_notices(&mut self) {
        let count = self.random.random_range(0..=self.notices.len());
        self.notices.drain(..count);
        if self.random.random_range(0..3) == 0 {
            self.lane.on_notices_lost();
        }
    }

    fn move_checkpoint(&mut self) {
        self.durable = (self.rows, self.worker);
    }

    /// The worker starts again from the checkpoint; the notice of a commit that had ended may never be sent.
    fn crash(&mut self) {
        if self.random.random_range(0..2) == 0 {
            self.notices.pop_back();
        }
        self.commit = None;
        self.worker = self.durable.1;
        self.starts += 1;
        self.found = self.progress;
        self.heartbeat();
    }

    /// The store loses rows above the checkpoint, and perhaps progress, too. Workers notice at once; what was sent before
    /// arrives before the new worker's announcement.
    fn lose_rows(&mut self) {
        for account in 0..ACCOUNTS {
            if self.random.random_range(0..2) == 0 {
                self.rows[account] = self.durable.0[account];
            }
        }
        self.commit = None;
        self.worker = self.durable.1;
        self.starts += 1;
        if self.random.random_range(0..2) == 0 {
            self.unsettled_below = self.unsettled_below.max(self.progress);
            self.progress = self.durable.1;
            self.fills.iter_mut().for_each(|fill| fill.unsettled = true);
        }
        self.found = self.progress;
        self.heartbeat();
        while !self.notices.is_empty() {
            self.deliver();
        }
    }

    fn read_progress(&mut self) {
        match self.progress_read.take() {
            None => self.progress_read = Some((self.lane.begin_progress_read(), None)),
            Some((ticket, None)) => self.progress_read = Some((ticket, Some(self.progress))),
            Some((ticket, Some(sequence))) => {
                let identity = LogIdentity { epoch: 1, stream_id: SmolStr::new("s"), partitions: 1 };
                self.lane.finish_progress_read(ticket, Some(&Progress { sequence, time_ms: 1, identity }));
            }
        }
    }

    fn reader(&mut self) {
        let key = EntryKey {
            account: account(self.random.random_range(0..ACCOUNTS)),
            until: date(self.random.random_range(0..DAYS)),
            representation: (),
        };
        let minimum = if self.random.random_range(0..2) == 0 { 0 } else { self.lane.stamp(0).position };
        match self.lane.read(&key, minimum, self.now_ms) {
            Reading::Cached(value, stamp) => self.check(&key, value, stamp, minimum),
            Reading::Fill(ticket) => {
                let unsettled = self.is_unsettled();
                self.fills.push(Fill { ticket, minimum, read: None, unsettled });
            }
            Reading::Join(id) => {
                let fill = self.fills.iter_mut().find(|fill| fill.ticket.id() == id).unwrap();
                fill.minimum = fill.minimum.max(minimum);
            }
            Reading::Wait | Reading::Stopped => {}
        }
    }

    fn go_on_with_a_fill(&mut self) {
        if self.fills.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.fills.len());
        let fill = &mut self.fills[index];
        let Some(value) = fill.read else {
            fill.read = Some(self.rows[number(fill.ticket.key())]);
            return;
        };
        let Fill { ticket, minimum, unsettled, .. } = self.fills.swap_remove(index);
        let key = ticket.key().clone();
        let outcome = self.lane.finish_fill(ticket, Some((value, 8)), self.now_ms);
        if let (FillOutcome::Answer(stamp), false) = (outcome, unsettled) {
            self.check(&key, value, stamp, minimum);
        }
    }

    /// Whether a loss that nobody announced may still show: until the worker has passed what was lost and all has been
    /// heard.
    fn is_unsettled(&mut self) -> bool {
        if self.worker >= self.unsettled_below && self.notices.is_empty() && self.progress_read.is_none() {
            self.unsettled_below = 0;
        }
        self.unsettled_below > 0
    }

    fn check(&mut self, key: &EntryKey<()>, value: Value, stamp: Stamp, minimum: u64) {
        if self.is_unsettled() {
            return;
        }
        let missing = (value..stamp.position).any(|index| {
            let (account, day) = self.log[usize::try_from(index).unwrap()];
            account == number(key) && date(day) <= key.until
        });
        let told_too_much = stamp.complete && stamp.position > self.log.len() as u64;
        self.faults += usize::from(missing || stamp.position < minimum || told_too_much);
    }
}

fn date(day: i32) -> BusinessDate {
    BusinessDate::from_days(day).unwrap()
}

/// Seeds of `count` in which something went wrong.
fn wrong(count: u64, rules: QueryRules) -> Vec<u64> {
    let goes_wrong = |seed: &u64| {
        let mut world = World::new(*seed, rules);
        (0..STEPS).for_each(|_| world.step());
        assert!(world.lane.cached_bytes() <= world.lane.settings().cache_bytes);
        world.faults > 0
    };
    (0..count).filter(goes_wrong).collect()
}

#[test]
fn no_answer_lacks_what_its_position_covers() {
    assert_eq!(wrong(4_000, QueryRules::default()), Vec::<u64>::new());
}

/// That a notice behind drops what it lists is not seen here any more, since each new worker drops everything: only one that
/// does not know of a loss makes it matter, and of those the simulation tells.
#[test]
fn each_rule_left_out_goes_wrong() {
    let all = QueryRules::default();
    for (name, rules) in [
        ("gap_drops", QueryRules { gap_drops: false, ..all }),
        ("touched_fill_is_not_cached", QueryRules { touched_fill_is_not_cached: false, ..all }),
        ("fill_carries_its_beginning", QueryRules { fill_carries_its_beginning: false, ..all }),
        ("join_only_satisfied_fills", QueryRules { join_only_satisfied_fills: false, ..all }),
        ("replay_lowers_position", QueryRules { replay_lowers_position: false, ..all }),
    ] {
        assert!(!wrong(2_000, rules).is_empty(), "nothing went wrong without {name}");
    }
}

#[test]
fn entries_do_get_cached_and_served() {
    let mut hits = 0;
    for seed in 0..50 {
        let mut world = World::new(seed, QueryRules::default());
        for _ in 0..STEPS {
            world.step();
            hits += world.lane.cached_entries();
        }
    }
    assert!(hits > 1_000, "a world in which nothing is cached proves nothing: {hits}");
}
