//! How far a lane is applied, as notices and progress reads tell it.

use super::QueryRules;
use crate::notice::Notice;

/// Without a notice for this long, nothing is served from the cache and nothing is complete: five heartbeats are missing.
pub const HEARTBEAT_SILENCE_MS: u64 = 5_000;

/// What an answer says of its own age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Every message of the lane up to this sequence is in the answer.
    pub position: u64,
    /// The log's time of the last applied message: milliseconds since 1970-01-01T00:00:00Z; 0 when there is none.
    pub time_ms: i64,
    /// Whether nothing was known to wait in the log behind the position.
    pub complete: bool,
}

/// What a notice did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeEffect {
    /// Of another generation, epoch or partition: nothing happened.
    pub ignored: bool,
    /// Something was missed before it, or may have been; the lane's entries are dropped.
    pub gap: bool,
    /// The position has changed: waiting readers should look again.
    pub moved: bool,
    /// It lies behind what is known and no replay explains it. A second worker does this, and so does a store that was
    /// reopened at an older state: the driver reads progress (with a `gap` at once, else now and then, not for each such notice).
    pub may_have_gone_back: bool,
    /// How many cached entries were dropped.
    pub dropped: usize,
}

/// A read of the store's progress, begun: see [`super::QueryLane::begin_progress_read`].
#[derive(Clone, Copy, Debug)]
pub struct ProgressTicket {
    progress: u64,
    lineage: u64,
    unheard: u64,
}

/// What a progress read did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressEffect {
    /// The position has changed: waiting readers should look again.
    pub moved: bool,
    /// The store has less than was known before the read: the lane went back and dropped all.
    pub went_back: bool,
    /// The lane went back, or may have, while the read was under way: it says nothing, read again.
    pub outdated: bool,
}

/// A worker's replay below the progress that it found.
#[derive(Clone, Copy, Debug)]
struct Replay {
    /// Who replays, if it has a number.
    worker: Option<u64>,
    position: u64,
    time_ms: i64,
    heard_at_ms: u64,
    /// Nobody has said that this is a replay: the next progress read will tell.
    is_supposed: bool,
}

/// What a notice or a progress read means for cached entries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Movement {
    pub(super) gap: bool,
    pub(super) moved: bool,
    /// The notice's range ends at or below what was known before.
    pub(super) behind: bool,
    pub(super) may_have_gone_back: bool,
}

/// The freshness of one lane.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    progress: u64,
    /// The highest progress that was ever known.
    highest: u64,
    time_ms: i64,
    replay: Option<Replay>,
    /// The last notice that knew said that messages of the log are gone.
    log_is_damaged: bool,
    /// The last notice says that its worker replays.
    replaying: bool,
    end: u64,
    heard_at_ms: Option<u64>,
    /// Raised whenever the position may go down: what began before says nothing about what comes after.
    lineage: u64,
    /// Raised whenever a worker is heard that may have said something before: it may have found less than was stored until
    /// then.
    unheard: u64,
    /// The store has lost rows, and its progress was not read since: nothing can be claimed.
    unconfirmed: bool,
    rules: QueryRules,
}

impl Freshness {
    pub(super) fn new(rules: QueryRules) -> Self {
        Self { rules, ..Self::default() }
    }

    pub(super) fn position(&self) -> u64 {
        self.replay.map_or(self.progress, |replay| replay.position)
    }

    /// Whether the position is that of a replay, or lower than any that was known: above it the store may lack some of what it
    /// had.
    pub(super) fn is_position_replayed(&self) -> bool {
        (self.replaying && self.rules.replays_may_lack_rows)
            || (self.position() < self.highest && self.rules.highest_is_remembered)
    }

    pub(super) fn lineage(&self) -> u64 {
        self.lineage
    }

    /// Whether a notice was heard lately, and what the store has is known.
    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        !self.unconfirmed && self.heard_at_ms.is_some_and(|heard| now_ms.saturating_sub(heard) < HEARTBEAT_SILENCE_MS)
    }

    /// Whether the store has lost rows, and its progress was not read since.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed
    }

    pub(super) fn stamp(&self, now_ms: u64) -> Stamp {
        Stamp {
            position: self.position(),
            time_ms: self.replay.map_or(self.time_ms, |replay| replay.time_ms),
            complete: self.is_complete(now_ms),
        }
    }

    /// At the end that a fresh notice told, nobody replays, and nothing of the log is gone.
    fn is_complete(&self, now_ms: u64) -> bool {
        let replays = self.replaying || self.replay.is_some();
        (self.is_fresh(now_ms) || !self.rules.silence_ends_completeness)
            && !replays
            && !self.log_is_damaged
            && (self.position() >= self.end || !self.rules.complete_at_told_end)
    }

    /// Takes in a notice of this lane; `has_missed` says that its worker may have said something before that was not heard.
    pub(super) fn hear(&mut self, notice: &Notice, has_missed: bool, now_ms: u64) -> Movement {
        let before = self.position();
        self.highest = self.highest.max(notice.to);
        self.heard_at_ms = Some(now_ms);
        self.unheard += u64::from(has_missed);
        self.replaying = notice.replaying;
        self.log_is_damaged = notice.log_is_whole.map_or(self.log_is_damaged, |is_whole| !is_whole);
        self.end = self.end.max(notice.end).max(notice.to);
        if self.unconfirmed {
            return Movement { gap: true, ..Movement::default() };
        }
        let is_behind = notice.to < self.progress;
        let may_replay = has_missed && !notice.replaying && is_behind && self.rules.unheard_may_replay;
        let replays_below = (notice.replaying && is_behind && self.rules.replay_lowers_position) || may_replay;
        let gap = match (self.replay, replays_below) {
            (_, true) => self.hear_replay(notice, now_ms),
            (Some(replay), false) => self.hear_after_replay(notice, replay, now_ms),
            (None, false) => self.advance(notice),
        };
        Movement {
            gap,
            moved: self.position() != before,
            behind: notice.to <= before,
            may_have_gone_back: may_replay || (notice.to < self.progress && !self.is_replayed()),
        }
    }

    /// Whether it is certain that a worker replays.
    fn is_replayed(&self) -> bool {
        self.replay.is_some_and(|replay| !replay.is_supposed)
    }

    /// The usual notice: it joins on to what is known, or lies behind it, or leaves a gap.
    fn advance(&mut self, notice: &Notice) -> bool {
        let gap = notice.from > self.progress;
        self.raise(notice.to, notice.time_ms);
        gap
    }

    /// A worker tells how far it has replayed. Where a replay begins, or another is further back, everything is dropped: what
    /// the store has lost may have been read already, under a position that is not claimed any more.
    fn hear_replay(&mut self, notice: &Notice, now_ms: u64) -> bool {
        let before = self.replay.map(|replay| replay.position);
        let goes_back = before.is_none_or(|position| notice.to < position);
        if goes_back {
            self.lineage += 1;
        }
        let time_ms = if notice.time_ms == 0 { self.replay.map_or(0, |replay| replay.time_ms) } else { notice.time_ms };
        let is_supposed = !notice.replaying && !self.is_replayed();
        let (worker, position) = (notice.worker, notice.to);
        self.replay = Some(Replay { worker, position, time_ms, heard_at_ms: now_ms, is_supposed });
        goes_back || before.is_some_and(|position| notice.from > position)
    }

    /// A notice while a replay is known that is not of a replay below progress: its end, or another worker that goes on.
    fn hear_after_replay(&mut self, notice: &Notice, replay: Replay, now_ms: u64) -> bool {
        let is_same = notice.worker.is_some() && notice.worker == replay.worker;
        let joins_on = notice.from <= replay.position || is_same;
        let silent = now_ms.saturating_sub(replay.heard_at_ms) >= HEARTBEAT_SILENCE_MS;
        if joins_on && notice.to >= self.progress {
            self.replay = None;
            self.raise(notice.to, notice.time_ms);
            return false;
        }
        if silent {
            self.replay = None;
            self.progress = notice.to.max(replay.position);
            self.time_ms = notice.time_ms.max(replay.time_ms);
            return true;
        }
        self.raise(notice.to, notice.time_ms);
        false
    }

    /// A notice for a checkpoint knows no time; then the one known stays.
    fn raise(&mut self, sequence: u64, time_ms: i64) {
        if sequence > self.progress {
            self.progress = sequence;
            self.time_ms = if time_ms == 0 { self.time_ms } else { time_ms };
        } else if sequence == self.progress && self.time_ms == 0 {
            self.time_ms = time_ms;
        }
    }

    pub(super) fn begin_progress_read(&self) -> ProgressTicket {
        ProgressTicket { progress: self.progress, lineage: self.lineage, unheard: self.unheard }
    }

    /// Takes in stored progress; the first value says whether entries must be dropped.
    pub(super) fn learn(&mut self, ticket: ProgressTicket, sequence: u64, time_ms: i64) -> (bool, ProgressEffect) {
        if self.rules.outdated_reads_count {
            self.highest = self.highest.max(sequence);
        }
        let is_from_before = ticket.unheard != self.unheard && self.rules.unheard_outdates_reads;
        if ticket.lineage != self.lineage || is_from_before {
            return (false, ProgressEffect { outdated: true, ..ProgressEffect::default() });
        }
        self.unconfirmed = false;
        self.highest = self.highest.max(sequence);
        let before = self.position();
        // What is stored now was written by who replays, if anybody does.
        let supposed = self.replay.take_if(|replay| replay.is_supposed).is_some();
        let went_back = sequence < ticket.progress;
        if went_back {
            self.go_back(sequence, time_ms);
        }
        let ahead = sequence > self.progress;
        if ahead {
            self.learn_more(sequence, time_ms);
        }
        (
            supposed || went_back || ahead,
            ProgressEffect { moved: self.position() != before, went_back, outdated: false },
        )
    }

    /// The store has less than was known. A worker that replays below that goes on to do so: what it has not replayed yet may
    /// be lost, too.
    fn go_back(&mut self, sequence: u64, time_ms: i64) {
        self.lineage += 1;
        let goes_on = |replay: &Replay| replay.position < sequence && self.rules.going_back_keeps_replay;
        self.replay = self.replay.filter(goes_on);
        (self.progress, self.time_ms) = (sequence, time_ms);
    }

    /// The store has more than the notices told. While a worker replays this is the progress that it found, and no more
    /// is replayed than before.
    fn learn_more(&mut self, sequence: u64, time_ms: i64) {
        if self.replaying && self.replay.is_none() && self.rules.replay_lowers_position {
            let heard_at_ms = self.heard_at_ms.unwrap_or(0);
            let (position, time_ms) = (self.progress, self.time_ms);
            self.replay = Some(Replay { worker: None, position, time_ms, heard_at_ms, is_supposed: false });
        }
        (self.progress, self.time_ms) = (sequence, time_ms);
    }

    /// Acknowledged rows are gone: what began before says nothing any more, and until the next progress read nothing can
    /// be claimed. Notices until then may still speak of what was lost.
    pub(super) fn store_lost(&mut self) {
        self.lineage += 1;
        self.unconfirmed = true;
        self.replay = None;
        (self.progress, self.time_ms) = (0, 0);
    }
}
