//! One lane of the log as a query instance sees it: freshness, cache and fills together.

use super::{
    EntryKey, QueryRules,
    cache::Cache,
    fills::{Beginning, FillId, FillTicket, Fills},
    freshness::{Freshness, NoticeEffect, ProgressEffect, ProgressTicket, Stamp},
    stopped::Stopped,
    voices::Voices,
};
use crate::{
    commit::Progress,
    log::LogName,
    notice::{Changed, Notice},
};

/// Which lane of which projection, and how much may be kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSettings {
    /// The projection that readers see; notices of others are ignored.
    pub generation: u32,
    /// The log; notices of others are ignored.
    pub log: LogName,
    /// The lane.
    pub partition: u16,
    /// Bytes of cached answers, bookkeeping included.
    pub cache_bytes: usize,
    /// The store writes each commit as a whole, and never loses a part of one.
    pub commits_are_whole: bool,
}

/// How a reader is served.
#[derive(Debug)]
pub enum Reading<R, V> {
    /// From the cache, with the present stamp.
    Cached(V, Stamp),
    /// By a fill that another reader has begun, with that fill's stamp.
    Join(FillId),
    /// By a fill of its own, begun with this.
    Fill(FillTicket<R>),
    /// Not yet: the position demanded is not applied.
    Wait,
    /// Not at all: the worker has stopped the account.
    Stopped,
}

/// What is known before a fill is looked for.
enum Look<R, V> {
    Served(Reading<R, V>),
    NotCached { stamp: Stamp, fresh: bool },
}

/// What a fill that ended may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Answer its readers with this stamp.
    Answer(Stamp),
    /// The lane went back or was retired since it began: its readers begin anew.
    Again,
}

/// See the head of [`crate::query`].
#[derive(Debug)]
pub struct QueryLane<R, V> {
    settings: LaneSettings,
    freshness: Freshness,
    cache: Cache<R, V>,
    fills: Fills<R>,
    stopped: Stopped,
    voices: Voices,
    is_retired: bool,
    rules: QueryRules,
}

impl<R: Clone + Ord, V: Clone> QueryLane<R, V> {
    /// A lane of which nothing is known yet: position 0, not complete, nothing cached.
    pub fn new(settings: LaneSettings) -> Self {
        Self::with_rules(settings, QueryRules::default())
    }

    /// A lane with rules left out, to show that they matter.
    pub(crate) fn with_rules(settings: LaneSettings, rules: QueryRules) -> Self {
        Self {
            settings,
            freshness: Freshness::new(rules),
            cache: Cache::new(settings.cache_bytes),
            fills: Fills::default(),
            stopped: Stopped::new(rules),
            voices: Voices::new(rules),
            is_retired: false,
            rules,
        }
    }

    /// What the lane was made with.
    pub fn settings(&self) -> &LaneSettings {
        &self.settings
    }

    /// Takes in a notice or a heartbeat.
    pub fn on_notice(&mut self, notice: &Notice, now_ms: u64) -> NoticeEffect {
        let LaneSettings { generation, log, partition, .. } = self.settings;
        let is_of_log = notice.incarnation.is_none_or(|incarnation| incarnation == log.incarnation);
        let ours =
            is_of_log && (notice.generation, notice.epoch, notice.partition) == (generation, log.epoch, partition);
        if (!ours && self.rules.only_own_notices) || notice.from > notice.to {
            return NoticeEffect { ignored: true, ..NoticeEffect::default() };
        }
        self.stopped.hear(notice);
        let has_missed = self.voices.hear(notice);
        let movement = self.freshness.hear(notice, has_missed, now_ms);
        let gap = has_missed || movement.gap;
        let mut dropped = 0;
        if gap && self.rules.gap_drops {
            dropped += self.drop_all();
        }
        if !movement.behind || self.rules.behind_notice_drops {
            dropped += self.drop_changed(&notice.changed);
        }
        NoticeEffect {
            ignored: false,
            gap,
            moved: movement.moved,
            may_have_gone_back: movement.may_have_gone_back,
            dropped,
        }
    }

    /// Notices may be missing up to now. Says how many entries were dropped; a progress read should follow.
    pub fn on_notices_lost(&mut self) -> usize {
        if self.rules.gap_drops { self.drop_all() } else { 0 }
    }

    /// The store has lost acknowledged rows (it was reopened): all is dropped, fills in flight will begin anew. The
    /// position is 0 until progress was read.
    pub fn on_store_lost(&mut self) -> usize {
        self.freshness.store_lost();
        self.drop_all()
    }

    /// Others have taken the lane's place: what is stored may be another log's from now on, so that
    /// fills in flight, and those that begin later, are begun anew elsewhere.
    pub fn retire(&mut self) {
        self.is_retired = true;
    }

    /// Notes what is known before progress is read from the store.
    pub fn begin_progress_read(&self) -> ProgressTicket {
        self.freshness.begin_progress_read()
    }

    /// Takes in what the store said; `None` before the first commit.
    pub fn finish_progress_read(&mut self, ticket: ProgressTicket, progress: Option<&Progress>) -> ProgressEffect {
        let (sequence, time_ms) = progress.map_or((0, 0), |progress| (progress.sequence, progress.time_ms));
        let (drop, effect) = self.freshness.learn(ticket, sequence, time_ms);
        if drop && (effect.went_back || self.rules.gap_drops) {
            self.drop_all();
        }
        effect
    }

    /// Position, time and completeness at present.
    pub fn stamp(&self, now_ms: u64) -> Stamp {
        let stamp = self.freshness.stamp(now_ms);
        Stamp { complete: stamp.complete && !self.stopped.is_refused(), ..stamp }
    }

    /// Whether the worker refuses to work on the lane: log and store do not belong together, or the log is not as it must be.
    /// Nothing is answered of any of its accounts then, nor what spans them.
    pub fn is_refused(&self) -> bool {
        self.stopped.is_refused()
    }

    /// Whether a notice was heard lately, and no lost store waits for a progress read. If not, the driver reads progress
    /// before it reads for anyone, since no notice will tell it.
    pub fn hears_notices(&self, now_ms: u64) -> bool {
        self.freshness.is_fresh(now_ms)
    }

    /// Whether a lost store waits for a progress read: until then no notice moves the position, and whoever waits for it
    /// waits in vain.
    pub fn awaits_progress(&self) -> bool {
        self.freshness.is_unconfirmed()
    }

    /// Serves a reader who demands at least the sequence `minimum` (0 for none).
    pub fn read(&mut self, key: &EntryKey<R>, minimum: u64, now_ms: u64) -> Reading<R, V> {
        let (stamp, fresh) = match self.look(key, minimum, now_ms) {
            Look::Served(reading) => return reading,
            Look::NotCached { stamp, fresh } => (stamp, fresh),
        };
        let (lineage, any) = (self.freshness.lineage(), !self.rules.join_only_satisfied_fills);
        if let Some(fill) = self.fills.joinable(key, minimum, lineage, any) {
            return Reading::Join(fill);
        }
        let may_be_in_parts = !self.settings.commits_are_whole && self.rules.rows_above_wait;
        let is_replayed = may_be_in_parts && self.freshness.is_position_replayed();
        Reading::Fill(self.fills.begin(key, Beginning { stamp, lineage, is_replayed, cacheable: fresh }))
    }

    /// Serves a reader who demands no position as [`Self::read`] does if that is from the cache; else nothing has happened.
    pub fn read_cached(&mut self, key: &EntryKey<R>, now_ms: u64) -> Option<(V, Stamp)> {
        match self.look(key, 0, now_ms) {
            Look::Served(Reading::Cached(value, stamp)) => Some((value, stamp)),
            _ => None,
        }
    }

    fn look(&mut self, key: &EntryKey<R>, minimum: u64, now_ms: u64) -> Look<R, V> {
        if self.stopped.contains(&key.account) {
            return Look::Served(Reading::Stopped);
        }
        let stamp = self.freshness.stamp(now_ms);
        if stamp.position < minimum && self.rules.waits_for_position {
            return Look::Served(Reading::Wait);
        }
        let fresh = self.freshness.is_fresh(now_ms) || !self.rules.silence_bypasses_cache;
        match self.cache.get(key).filter(|_| fresh) {
            Some(value) => Look::Served(Reading::Cached(value.clone(), stamp)),
            None => Look::NotCached { stamp, fresh },
        }
    }

    /// What readers who came now would be answered from the cache.
    pub(crate) fn cached(&self, now_ms: u64) -> impl Iterator<Item = (EntryKey<R>, &V)> {
        let is_used = self.freshness.is_fresh(now_ms);
        self.cache.iter().filter(move |(key, _)| is_used && !self.stopped.contains(&key.account))
    }

    /// Ends a fill. `kept` is what to cache and its size in bytes, if it should be cached at all.
    pub fn finish_fill(&mut self, ticket: FillTicket<R>, kept: Option<(V, usize)>, now_ms: u64) -> FillOutcome {
        let cacheable = self.fills.end(&ticket, !self.rules.touched_fill_is_not_cached);
        let is_of_the_past = ticket.lineage != self.freshness.lineage() && self.rules.going_back_spoils_fills;
        if is_of_the_past || (self.is_retired && self.rules.retired_fills_begin_anew) {
            return FillOutcome::Again;
        }
        let stamp = if self.rules.fill_carries_its_beginning { ticket.stamp } else { self.freshness.stamp(now_ms) };
        if let Some((value, bytes)) = kept.filter(|_| cacheable) {
            self.cache.insert(ticket.key, value, bytes);
        }
        FillOutcome::Answer(stamp)
    }

    /// Ends a fill that has failed or was given up.
    pub fn abandon_fill(&mut self, ticket: FillTicket<R>) {
        self.fills.end(&ticket, false);
        drop(ticket);
    }

    /// How many answers are cached.
    pub fn cached_entries(&self) -> usize {
        self.cache.len()
    }

    /// Bytes counted against [`LaneSettings::cache_bytes`].
    pub fn cached_bytes(&self) -> usize {
        self.cache.used_bytes()
    }

    /// How many fills are in flight.
    pub fn fills_in_flight(&self) -> usize {
        self.fills.len()
    }

    fn drop_changed(&mut self, changed: &Changed) -> usize {
        match changed {
            Changed::All | Changed::Refused => self.drop_all(),
            Changed::Accounts(accounts) => accounts.iter().map(|entry| self.drop_from(entry)).sum(),
        }
    }

    fn drop_from(&mut self, changed: &crate::notice::ChangedAccount) -> usize {
        let account = ledger::AccountKey { tenant: changed.tenant.clone(), account: changed.account.clone() };
        self.fills.touch(&account, changed.date);
        self.cache.drop_from(&account, changed.date)
    }

    fn drop_all(&mut self) -> usize {
        self.fills.touch_all();
        self.cache.clear()
    }
}
