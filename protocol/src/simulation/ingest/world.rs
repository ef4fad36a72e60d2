//! The world of one seed: what may happen.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Checked, IngestSwitches,
    broker::Broker,
    launch::Launch,
    network::{Network, Sender},
    posts::{Post, Verdict},
    process::{Memory, Process, UNKNOWN_TTL_MS},
    readers::Reader,
    violation,
    warm::Tail,
};
use crate::simulation::log::pick;

/// Processes of ingest.
const PROCESSES: usize = 2;
/// Messages of one history: enough that some are forgotten where memory is short.
const MAX_MESSAGES: usize = 60;
/// So many steps end everything when nothing breaks any more.
const SETTLING_STEPS: usize = 20_000;
/// Attempts to have a launch accepted at the end.
const LAST_ATTEMPTS: usize = 5;

/// See [`super`].
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now_ms: u64,
    /// Counts what happens: two things happen in one millisecond.
    pub(super) happening: u64,
    pub(super) switches: IngestSwitches,
    pub(super) partitions: u16,
    /// Few: repetitions and conflicts are common.
    pub(super) ids: u8,
    pub(super) memory: Memory,
    pub(super) most_in_flight: usize,
    pub(super) broker: Broker,
    pub(super) network: Network,
    pub(super) processes: Vec<Process>,
    pub(super) lives: u64,
    pub(super) readers: Vec<Reader>,
    /// Those without an answer.
    pub(super) posts: Vec<Post>,
    pub(super) last_verdict: Option<Verdict>,
    /// Who ever got a post of an id.
    pub(super) posted_by: BTreeMap<u8, BTreeSet<Sender>>,
    /// When the outcome of a launch of an id was first unknown.
    pub(super) unknown_since: BTreeMap<u8, u64>,
    /// By process and sequence: the message whose position was told, and when.
    pub(super) told: BTreeMap<(Sender, u64), (u64, u64)>,
    pub(super) batches: u64,
    /// Each id comes to one process only.
    pub(super) by_id: bool,
    /// Processes crash and stop.
    may_crash: bool,
    pub(super) may_lose: bool,
    pub(super) has_lost: bool,
    pub(super) has_lost_end: bool,
    trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, switches: IngestSwitches, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let partitions = rng.random_range(1..=2);
        let tail = Tail {
            messages: *pick(&mut rng, &[2, 8, 1_000]),
            patience_ms: *pick(&mut rng, &[2_000, 600_000, 600_000]),
        };
        let memory = Memory {
            accepted: *pick(&mut rng, &[3, 1_000, 1_000]),
            unknown: *pick(&mut rng, &[1, 1_000, 1_000]),
            tail,
        };
        let now_ms = 1_000_000;
        let most_in_flight = rng.random_range(1..=2);
        let broker = Broker::default();
        let start = |process| {
            let sender = Sender { process, life: 0 };
            Process::start(sender, memory, (partitions, most_in_flight), &broker, &switches, now_ms)
        };
        let processes = (0..PROCESSES).map(start).collect();
        Self {
            now_ms,
            happening: 0,
            partitions,
            ids: rng.random_range(2..12),
            memory,
            most_in_flight,
            processes,
            broker,
            network: Network::default(),
            lives: 0,
            readers: (0..partitions)
                .flat_map(|lane| [Reader::new(lane, &switches), Reader::new(lane, &switches)])
                .collect(),
            posts: Vec::new(),
            last_verdict: None,
            posted_by: BTreeMap::new(),
            unknown_since: BTreeMap::new(),
            told: BTreeMap::new(),
            batches: 0,
            by_id: rng.random_bool(0.5),
            may_crash: rng.random_bool(0.6),
            may_lose: rng.random_bool(0.4),
            has_lost: false,
            has_lost_end: false,
            trace: is_traced.then(Vec::new),
            switches,
            rng,
        }
    }

    /// What happened, when it was recorded.
    pub(super) fn trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub(super) fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>8} {}", self.now_ms, what(self));
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    /// The whole history of a seed.
    pub(super) fn run(&mut self) -> Checked {
        let steps = self.rng.random_range(150..700);
        for _ in 0..steps {
            self.happen()?;
        }
        self.settle()
    }

    fn pass(&mut self) {
        self.happening += 1;
        self.now_ms += match self.rng.random_range(0..1_000) {
            0..3 => self.rng.random_range(0..200_000),
            3..30 => self.rng.random_range(0..7_000),
            _ => self.rng.random_range(0..200),
        };
    }

    fn happen(&mut self) -> Checked {
        self.pass();
        let process = self.rng.random_range(0..self.processes.len());
        let is_running = self.processes[process].is_running;
        match self.rng.random_range(0..1_000) {
            0..150 if self.broker.messages.len() < MAX_MESSAGES => self.post()?,
            150..330 => self.arrive(false)?,
            330..480 => self.be_answered()?,
            480..488 if is_running && self.may_crash => self.crash(process),
            488..494 if is_running && self.may_crash => self.stop(process)?,
            494..504 if is_running => self.disconnect(process),
            504..510 if !self.broker.is_away => self.go_away(),
            510..516 => self.change_leader(),
            516..520 => self.broker.is_full = !self.broker.is_full,
            520..530 => {
                let reader = self.rng.random_range(0..self.readers.len());
                self.readers[reader].vanish(&mut self.rng);
            }
            530..560 if self.broker.is_away => self.come_back(),
            530..600 if !is_running => self.start(process),
            530..600 => self.connect(process),
            600..605 if self.processes[process].has_stopped => {
                self.stop(process)?;
                self.start(process);
            }
            605..780 => self.read(false)?,
            _ => self.work(process, false)?,
        }
        Ok(())
    }

    fn read(&mut self, is_calm: bool) -> Checked {
        let reader = self.rng.random_range(0..self.readers.len());
        self.readers[reader].happen(&mut self.rng, &self.broker, self.now_ms, is_calm)
    }

    /// A process does something that it does by itself.
    fn work(&mut self, index: usize, is_calm: bool) -> Checked {
        let (now_ms, happening) = (self.now_ms, self.happening);
        let surroundings = self.switches.surroundings;
        let process = &mut self.processes[index];
        if !process.is_running {
            return Ok(());
        }
        let (sender, connection) = (process.sender, process.connection(now_ms));
        let partition = self.rng.random_range(0..process.publishers.len());
        match self.rng.random_range(0..10) {
            0..4 => {
                let known = if surroundings.acknowledgements_are_compared { process.high_water.known() } else { 0 };
                process.publishers[partition].send_next(&mut self.rng, &mut self.network, connection, known);
            }
            4..7 => {
                let ended = process.publishers[partition].on_time(&mut self.rng, &mut self.network, connection);
                ended.iter().try_for_each(|(batch, end)| self.end_batch(sender, batch, *end))?;
            }
            7 if surroundings.sweeps => process.sweep(now_ms),
            8 if process.is_connected => process.warm(&mut self.rng, &self.broker, now_ms, is_calm)?,
            9 => {
                let is_answered = process.is_connected;
                if is_answered {
                    process.look(&self.broker, happening, surroundings);
                }
                self.looked(index, is_answered)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// All is well from now on: everything must come to its end.
    fn settle(&mut self) -> Checked {
        self.tell(|_| "all is well from here".to_owned());
        (self.broker.is_away, self.broker.is_full) = (false, false);
        for process in 0..self.processes.len() {
            let is_running = self.processes[process].is_running;
            // An operator knows of what was lost; what was known of it is of no use.
            if is_running && self.has_lost {
                self.stop(process)?;
            }
            if !is_running || self.has_lost {
                self.start(process);
            }
            self.connect(process);
        }
        self.rest()?;
        self.now_ms += UNKNOWN_TTL_MS;
        (0..self.processes.len()).for_each(|process| {
            self.processes[process].sweep(self.now_ms * u64::from(self.switches.surroundings.sweeps))
        });
        self.check_claims()?;
        (0..self.ids).try_for_each(|id| self.post_at_last(id))?;
        self.rest()
    }

    /// Goes on until nothing is on its way any more.
    fn rest(&mut self) -> Checked {
        for _ in 0..SETTLING_STEPS {
            if self.is_at_rest() {
                return Ok(());
            }
            self.happening += 1;
            self.now_ms += self.rng.random_range(0..200);
            let process = self.rng.random_range(0..self.processes.len());
            match self.rng.random_range(0..5) {
                0 => self.arrive(true)?,
                1 => self.be_answered()?,
                2 => self.read(true)?,
                _ => self.work(process, true)?,
            }
        }
        let strays: Vec<&Reader> = self.readers.iter().filter(|reader| !reader.is_settled(&self.broker)).collect();
        violation(format!("never answered: {:?}; never at the end: {strays:?}", self.posts))
    }

    fn is_at_rest(&self) -> bool {
        let has_read = self.readers.iter().all(|reader| reader.is_settled(&self.broker));
        let is_idle = |process: &Process| process.is_idle() && process.has_looked && process.warm.is_over();
        let is_silent = self.network.requests.is_empty() && self.network.replies.is_empty();
        has_read && is_silent && self.posts.is_empty() && self.processes.iter().all(is_idle)
    }

    fn check_claims(&self) -> Checked {
        let is_left = |process: &&Process| process.shard.sizes().1 > 0;
        match self.processes.iter().find(is_left) {
            Some(process) => violation(format!("claims of {:?} are left", process.sender)),
            None => Ok(()),
        }
    }

    /// Whoever posts a launch in the end has it accepted, or is told what stands there.
    fn post_at_last(&mut self, id: u8) -> Checked {
        let launch = Launch { id, content: u8::from(self.rng.random_bool(0.3)) };
        for process in 0..self.processes.len() {
            let mut is_answered = false;
            for _ in 0..LAST_ATTEMPTS {
                self.last_verdict = None;
                self.post_to(process, &[launch], false)?;
                self.rest()?;
                is_answered = self.last_verdict.is_some_and(|verdict| verdict != Verdict::Unavailable);
                if is_answered {
                    break;
                }
            }
            if !is_answered {
                return violation(format!("{launch:?} is never accepted by process {process}"));
            }
        }
        Ok(())
    }
}
