//! How the instance follows stream and store, as the service does.

use rand::{RngExt, rngs::StdRng};

use super::driver::{Moment, Query, Service};
use crate::{
    lane::DEFAULT_PARTITIONS,
    log::LogIdentity,
    query::{Standing, StoreScan},
};

/// Between two looks at a store that is not answered from.
const SCAN_PERIOD_MS: u64 = 1_000;
/// Lanes of a scan that are looked at in one step, at most.
const MOST_AT_ONCE: u16 = 600;

impl Query {
    /// Asks the stream which log it is.
    pub(super) fn ask_stream(&mut self, moment: &Moment<'_>) {
        let is_enough = self.answered.is_some() && !self.switches.driver.stream_is_asked_again;
        if !moment.logs.is_away && !is_enough {
            self.answered = Some(moment.logs.present().identity.clone());
        }
    }

    /// One step of following stream and store.
    pub(super) fn follow(&mut self, rng: &mut StdRng, moment: &Moment<'_>) {
        if self.scan.is_some() {
            return self.scan_on(rng, moment);
        }
        self.take_in(moment);
        self.show(moment);
        let is_due = !matches!(self.shown, Standing::Serves(_))
            && moment.now_ms >= self.scans_again_ms
            && self.switches.driver.withheld_store_is_scanned_again;
        if self.origin.needs_scan() || is_due {
            self.stray = None;
            self.has_found = false;
            self.scan = Some((StoreScan::with_rules(self.switches.origin), moment.happening));
        }
    }

    fn take_in(&mut self, moment: &Moment<'_>) {
        if let Some(identity) = &self.answered {
            if self.said.as_ref().is_some_and(|said| said != identity) {
                self.renamed = Some(moment.happening);
            }
            self.said = Some(identity.clone());
            self.origin.stream_says(identity.clone());
        }
        if let Some(stray) = &self.stray {
            self.origin.store_says(stray);
            self.found_any = true;
        }
        if moment.now_ms >= self.waits_until_ms {
            self.origin.wait_is_over();
        }
    }

    fn scan_on(&mut self, rng: &mut StdRng, moment: &Moment<'_>) {
        let Some((scan, began)) = &mut self.scan else { return };
        for _ in 0..rng.random_range(1..MOST_AT_ONCE) {
            let Some(lane) = scan.next() else {
                (self.scanned, self.found_any) = (Some(*began), self.has_found);
                self.origin.store_scanned(std::mem::take(scan));
                self.scan = None;
                self.scans_again_ms = moment.now_ms + SCAN_PERIOD_MS;
                return;
            };
            self.has_found |= moment.store.progress(lane).is_some();
            scan.found(moment.store.progress(lane));
        }
    }

    /// Lets readers be served as it stands, if that is news.
    fn show(&mut self, moment: &Moment<'_>) {
        let standing = self.origin.standing();
        let is_assumed = standing == Standing::Unknown && !self.switches.driver.unknown_answers_nothing;
        if standing == self.shown && !is_assumed {
            return;
        }
        match &standing {
            Standing::Unknown if is_assumed => self.assume(moment),
            Standing::Unknown => self.replace_service(Service::Unknown),
            Standing::Serves(log) => self.lay_out(log.clone(), moment),
            Standing::OtherLog(_) => self.replace_service(Service::OtherLog),
        }
        self.shown = standing;
    }

    /// Where a rule is left out: lanes as most logs have them.
    fn assume(&mut self, moment: &Moment<'_>) {
        if self.service == Service::Unknown {
            let log = LogIdentity { epoch: 1, stream_id: "0".into(), partitions: DEFAULT_PARTITIONS };
            self.lay_out(log, moment);
        }
    }
}
