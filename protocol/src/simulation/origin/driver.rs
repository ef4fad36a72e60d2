//! A query instance: which log it answers for, with its lanes.

use std::collections::{BTreeMap, VecDeque};

use super::{OriginSwitches, logs::Logs, readers::Fill, store::Store, workers::GENERATION};
use crate::{
    lane::DEFAULT_PARTITIONS,
    log::LogIdentity,
    notice::Notice,
    query::{LaneSettings, Origin, QueryLane, Standing, StoreScan},
};

/// How long the stream is waited for.
const FIRST_WORD_MS: u64 = 3_000;
/// Some answers fit.
const CACHE_BYTES: usize = 2_000;

/// An answer: what is stored of an account.
pub(super) type Value = super::store::Rows;

/// What may be answered at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Unknown,
    /// By the lanes with this number.
    Lanes(u64),
    OtherLog,
}

/// The lanes of a log.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) log: LogIdentity,
    pub(super) lanes: Vec<QueryLane<(), Value>>,
}

impl Lanes {
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.lanes.len()).unwrap_or(u16::MAX)
    }
}

/// What its surroundings are at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now_ms: u64,
    pub(super) happening: u64,
    pub(super) store: &'a Store,
    pub(super) logs: &'a Logs,
}

#[derive(Debug)]
pub(super) struct Query {
    pub(super) switches: OriginSwitches,
    pub(super) origin: Origin,
    /// What the stream said last, and whether that was looked at.
    pub(super) answered: Option<LogIdentity>,
    pub(super) said: Option<LogIdentity>,
    pub(super) waits_until_ms: u64,
    /// A scan under way, and when it began: a number of a happening.
    pub(super) scan: Option<(StoreScan, u64)>,
    /// When the last whole scan began.
    pub(super) scanned: Option<u64>,
    /// Whether anything was found in the store: by the scan under way; by the last whole one, or since.
    pub(super) has_found: bool,
    pub(super) found_any: bool,
    /// When the stream named another log than before: a number of a happening.
    pub(super) renamed: Option<u64>,
    pub(super) scans_again_ms: u64,
    pub(super) shown: Standing,
    pub(super) service: Service,
    /// Also those whose place others have taken, while something is read for them.
    pub(super) layouts: BTreeMap<u64, Lanes>,
    laid_out: u64,
    pub(super) fills: Vec<Fill>,
    pub(super) stray: Option<LogIdentity>,
    pub(super) inbox: VecDeque<Notice>,
}

impl Query {
    pub(super) fn start(switches: OriginSwitches, now_ms: u64) -> Self {
        Self {
            switches,
            origin: Origin::with_rules(switches.origin),
            answered: None,
            said: None,
            waits_until_ms: now_ms + FIRST_WORD_MS,
            scan: None,
            scanned: None,
            has_found: false,
            found_any: false,
            renamed: None,
            scans_again_ms: 0,
            shown: Standing::default(),
            service: Service::Unknown,
            layouts: BTreeMap::new(),
            laid_out: 0,
            fills: Vec::new(),
            stray: None,
            inbox: VecDeque::new(),
        }
    }

    /// The lanes that readers are answered by.
    pub(super) fn present(&self) -> Option<&Lanes> {
        match self.service {
            Service::Lanes(number) => self.layouts.get(&number),
            Service::Unknown | Service::OtherLog => None,
        }
    }

    /// Whether nothing is answered because the store is another log's.
    pub(super) fn is_withheld(&self) -> bool {
        self.service == Service::OtherLog
    }

    /// Puts other lanes in place.
    pub(super) fn lay_out(&mut self, log: LogIdentity, moment: &Moment<'_>) {
        let rules = self.switches.driver;
        if !rules.another_log_gets_other_lanes && self.keep_lanes(&log) {
            return;
        }
        let partitions = if rules.lanes_are_the_logs { log.partitions } else { DEFAULT_PARTITIONS };
        let name = log.name();
        let lane = |partition| {
            let settings = LaneSettings {
                generation: GENERATION,
                log: name,
                partition,
                cache_bytes: CACHE_BYTES,
                commits_are_whole: true,
            };
            QueryLane::with_rules(settings, self.switches.query)
        };
        self.laid_out += 1;
        let lanes = (0..partitions).map(lane).collect();
        self.layouts.insert(self.laid_out, Lanes { log, lanes });
        self.replace_service(Service::Lanes(self.laid_out));
        for partition in 0..partitions {
            self.read_progress(self.laid_out, partition, moment);
        }
    }

    /// Where a rule is left out: lanes that there are serve another log with as many.
    fn keep_lanes(&mut self, log: &LogIdentity) -> bool {
        let kept = self.layouts.iter_mut().find(|(_, lanes)| lanes.log.partitions == log.partitions);
        let Some((number, lanes)) = kept else { return false };
        lanes.log = log.clone();
        self.service = Service::Lanes(*number);
        true
    }

    pub(super) fn replace_service(&mut self, service: Service) {
        if let Service::Lanes(before) = std::mem::replace(&mut self.service, service)
            && self.switches.driver.another_log_gets_other_lanes
            && let Some(lanes) = self.layouts.get_mut(&before)
        {
            lanes.lanes.iter_mut().for_each(QueryLane::retire);
        }
        self.forget_layouts();
    }

    /// Lanes that nobody reads for and nobody is answered by.
    pub(super) fn forget_layouts(&mut self) {
        let Self { layouts, fills, service, switches, .. } = self;
        let are_kept = !switches.driver.another_log_gets_other_lanes;
        let is_used = |number: u64| {
            are_kept || *service == Service::Lanes(number) || fills.iter().any(|fill| fill.layout == number)
        };
        layouts.retain(|number, _| is_used(*number));
    }

    /// Reads how far a lane is; `false` where it was filled from another log than the lanes are of.
    pub(super) fn read_progress(&mut self, layout: u64, partition: u16, moment: &Moment<'_>) -> bool {
        let Some(lanes) = self.layouts.get_mut(&layout) else { return false };
        let Some(lane) = lanes.lanes.get_mut(usize::from(partition)) else { return false };
        let ticket = lane.begin_progress_read();
        let progress = moment.store.progress(partition);
        let stray = progress.filter(|progress| progress.identity != lanes.log);
        if let Some(stray) = stray
            && self.switches.driver.strays_are_told
        {
            self.stray = Some(stray.identity.clone());
            return false;
        }
        lane.finish_progress_read(ticket, progress);
        true
    }

    pub(super) fn hear(&mut self, moment: &Moment<'_>) {
        let Some(notice) = self.inbox.pop_front() else { return };
        let Service::Lanes(number) = self.service else { return };
        let lane = self.layouts.get_mut(&number).and_then(|lanes| lanes.lanes.get_mut(usize::from(notice.partition)));
        let Some(lane) = lane else { return };
        if lane.on_notice(&notice, moment.now_ms).may_have_gone_back {
            self.read_progress(number, notice.partition, moment);
        }
    }

    /// What was under way is lost, and the client says so.
    pub(super) fn lose_notices(&mut self, moment: &Moment<'_>) {
        self.inbox.clear();
        let Service::Lanes(number) = self.service else { return };
        let Some(lanes) = self.layouts.get_mut(&number) else { return };
        lanes.lanes.iter_mut().for_each(|lane| {
            lane.on_notices_lost();
        });
        for partition in 0..lanes.count() {
            self.read_progress(number, partition, moment);
        }
    }
}
