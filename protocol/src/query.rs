//! The query's side of the protocol: how fresh a lane is, what may be answered from memory, what must be read again.
//!
//! # What it is for
//! A query instance answers from encoded bytes that it keeps in memory. Nothing of that may look fresher than it is: an
//! answer that says position `p` holds every launch of its lane up to `p`. [`QueryLane`] decides this for one lane of the
//! log; lanes share nothing, so that a service may keep one behind each small lock, and a simulation may drive them one by
//! one. It is generic over the representation `R` (which answer of an account: a day, a range, ...; `()` will do in a
//! model) and the value `V` (encoded bytes, or a model's value). Time is milliseconds of any clock that does not go back.
//!
//! # What the driver does
//! | event | call |
//! |---|---|
//! | after subscribing to notices and flushing, at start and after every reconnect | [`QueryLane::begin_progress_read`], read progress from the store, [`QueryLane::finish_progress_read`] |
//! | a notice or heartbeat arrives | [`QueryLane::on_notice`]; `may_have_gone_back` asks for a progress read |
//! | notices may be missing (slow consumer, reconnect, undecodable) | [`QueryLane::on_notices_lost`], then a progress read |
//! | the store may have lost acknowledged rows (another incarnation) | [`QueryLane::on_store_lost`], then a progress read |
//! | the lane is of another log than is served from now on | [`QueryLane::retire`]; its readers begin anew |
//! | a reader comes | [`QueryLane::read`]; to one who can be sent elsewhere [`QueryLane::read_cached`] may do |
//!
//! [`QueryLane::read`] answers with a [`Reading`]:
//! - `Cached`: answer the value with the stamp given, which is the present one.
//! - `Fill`: read the store and hand the result to [`QueryLane::finish_fill`] with the ticket. Order of reads: the
//!   account's rows at one moment with their static `applied` (a), after them closes and journal, of which facts above
//!   [`Horizon::upto`]`(a)` are ignored. Where
//!   [`Horizon::waits_for`]`(a)` names a position, nothing may be answered: the fill is abandoned, and its readers begin anew
//!   as if they demanded that position. [`FillOutcome::Answer`] holds the stamp of this very answer: as it stood when the
//!   fill began. [`FillOutcome::Again`]: the lane went back while the fill read; the reader starts anew. A fill that fails is
//!   given to [`QueryLane::abandon_fill`]: tickets in flight are remembered until then.
//! - `Join`: another reader's fill of the same key will do: wait for it and use its outcome and stamp.
//! - `Wait`: the position that the reader demands is not applied. Call again when a notice or a progress read says
//!   `moved`, until the reader's patience ends, and after [`QueryLane::on_store_lost`] when progress was read (nothing is
//!   `moved` before, see [`QueryLane::awaits_progress`]). A service never answers it with something older.
//! - `Stopped`: the worker found rows and journal of the account apart; nobody may be told a balance.
//!
//! # The rules, and where they stand
//! | rule | why | code |
//! |---|---|---|
//! | a notice drops what it lists from the date on, even one wholly behind | a replay rewrites rows below the progress that a reader already knows | `QueryLane::on_notice` |
//! | a gap (`from` above what is known) drops all and spoils fills in flight | what changed in between is unknown | `Freshness::hear` |
//! | so do a worker that was not heard before, and a notice that does not join on to its worker's last | a replay may have been missed, though it has ended where the worker before was | `Voices::hear` |
//! | its word from below what is known counts as a replay until progress was read | the store may have lost progress, too: nobody says that this is a replay | `Freshness::hear`, `Freshness::learn` |
//! | a progress read during which such a worker is heard is begun anew | it may have found what the store has lost since, and that worker starts below | `Freshness::learn` |
//! | a progress read that finds more than the notices told counts as a gap | the notices in between are still on their way | `Freshness::learn` |
//! | a fill is cached only if no notice touched its key since it began | it may have read the rows before that commit | `Fills` |
//! | a fill's own answer carries position and completeness as of its beginning | it may have read the rows before a notice that came meanwhile | `QueryLane::finish_fill` |
//! | a reader joins only an untouched fill begun at or above its position | else it gets less than it demanded | `Fills::joinable` |
//! | without a notice for [`HEARTBEAT_SILENCE_MS`] nothing comes from the cache and nothing is complete | notices may be lost, nobody knows the end | `QueryLane::read` |
//! | while a worker replays below progress, the position is the replayed one | the store may have lost rows above it | `Freshness::hear` |
//! | while a worker replays, or the position is lower than it was, readers of rows from above the position wait | a store that commits step by step may have forgotten one row of an account and kept a later one: together they are no prefix | `Horizon` |
//! | when stored progress is found below what was known, the lane goes back | an embedded store may have been reopened at an older state | `Freshness::learn` |
//! | a replay below what was then found goes on | what is not replayed yet may be lost, too | `Freshness::go_back` |
//!
//! Notices of another generation, log or partition are ignored. Which log a query instance answers for is decided by
//! [`Origin`]. `complete` means: progress is at or above the lane's
//! end told by a fresh notice, and no worker replays. The end never goes down, because a zombie's heartbeat may be old.
//!
//! A worker's number tells one start of it from another. Two workers of a lane do not disturb each other: each joins on to
//! its own last word. One without a number drops everything each time.
//!
//! While a replay lasts, only its own notices (`replaying`, or its worker's next word, or one joining on to what it has replayed) move the position: a
//! second worker that does not know of the loss would claim too much. If the replaying worker falls silent for
//! [`HEARTBEAT_SILENCE_MS`], the next notice of another worker is believed.
//!
//! An account once told as stopped stays so until it was looked at and is not told as stopped: a notice lists it as changed, or
//! comes from a worker that does not replay and has reached the end that the lane had when the stop was told. A worker that
//! has just started has not yet looked at it. The same ends the stop of a whole lane.

mod cache;
mod demand;
mod fills;
mod freshness;
mod lane;
#[cfg(test)]
mod model_tests;
mod origin;
mod stopped;
#[cfg(test)]
mod tests;
mod voices;

pub use demand::{Demand, DemandError};
pub use fills::{FillId, FillTicket, Horizon};
pub use freshness::{HEARTBEAT_SILENCE_MS, NoticeEffect, ProgressEffect, ProgressTicket, Stamp};
pub use lane::{FillOutcome, LaneSettings, QueryLane, Reading};
pub(crate) use origin::OriginRules;
pub use origin::{Origin, OtherLog, Standing, StoreScan};

use ledger::{AccountKey, BusinessDate};

/// Which answer: what a cached value and a fill are kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryKey<R> {
    /// The account that the answer is about.
    pub account: AccountKey,
    /// The last business date that the answer depends on: a change of any date up to it makes the answer stale. The day
    /// itself, the end of a range, [`BusinessDate::MAX`] for a balance over everything.
    pub until: BusinessDate,
    /// Which answer of those that depend on dates up to `until`.
    pub representation: R,
}

/// The rules that can be switched off one by one, inside this crate only, to show that each matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryRules {
    /// Notices of other generations, logs and lanes are ignored.
    pub(crate) only_own_notices: bool,
    /// A notice wholly behind the known position still drops what it lists.
    pub(crate) behind_notice_drops: bool,
    /// A worker that was not heard before drops everything, as a gap does.
    pub(crate) new_worker_drops: bool,
    /// So does a notice that does not join on to the last one of its worker.
    pub(crate) own_gap_drops: bool,
    /// What such a worker says from below the known position may be a replay's, until progress was read.
    pub(crate) unheard_may_replay: bool,
    /// What was read of progress before such a worker was heard says nothing.
    pub(crate) unheard_outdates_reads: bool,
    /// A store that has less than was known does not end a replay below that.
    pub(crate) going_back_keeps_replay: bool,
    /// A gap between notices drops everything of the lane and spoils fills in flight.
    pub(crate) gap_drops: bool,
    /// A fill that a notice touched since it began is not cached.
    pub(crate) touched_fill_is_not_cached: bool,
    /// A fill's own answer carries the stamp of its beginning, not the present one.
    pub(crate) fill_carries_its_beginning: bool,
    /// A reader joins only an untouched fill that began at or above the position it demands.
    pub(crate) join_only_satisfied_fills: bool,
    /// A reader waits until the position that it demands is applied.
    pub(crate) waits_for_position: bool,
    /// While a worker replays below progress the replayed position counts.
    pub(crate) replay_lowers_position: bool,
    /// Where the store may lack rows above the position, readers wait for the position that an account's rows are of.
    pub(crate) rows_above_wait: bool,
    /// It may while a worker replays.
    pub(crate) replays_may_lack_rows: bool,
    /// It may while the position is below the highest one that was known.
    pub(crate) highest_is_remembered: bool,
    /// A progress read that is outdated counts for the highest position, too.
    pub(crate) outdated_reads_count: bool,
    /// What began before the lane went back says nothing after that.
    pub(crate) going_back_spoils_fills: bool,
    /// Without heartbeat the cache is bypassed.
    pub(crate) silence_bypasses_cache: bool,
    /// Without heartbeat nothing is complete.
    pub(crate) silence_ends_completeness: bool,
    /// Complete is only what is at the lane's end as it was told.
    pub(crate) complete_at_told_end: bool,
    /// A fill of a lane whose place others have taken is begun anew.
    pub(crate) retired_fills_begin_anew: bool,
    /// Nothing is answered of a lane whose worker refuses.
    pub(crate) refused_answers_nothing: bool,
    /// Nothing is answered of a stopped account.
    pub(crate) stopped_answers_nothing: bool,
}

impl Default for QueryRules {
    fn default() -> Self {
        Self {
            only_own_notices: true,
            behind_notice_drops: true,
            new_worker_drops: true,
            own_gap_drops: true,
            unheard_may_replay: true,
            unheard_outdates_reads: true,
            going_back_keeps_replay: true,
            gap_drops: true,
            touched_fill_is_not_cached: true,
            fill_carries_its_beginning: true,
            join_only_satisfied_fills: true,
            waits_for_position: true,
            replay_lowers_position: true,
            rows_above_wait: true,
            replays_may_lack_rows: true,
            highest_is_remembered: true,
            outdated_reads_count: true,
            going_back_spoils_fills: true,
            silence_bypasses_cache: true,
            silence_ends_completeness: true,
            complete_at_told_end: true,
            retired_fills_begin_anew: true,
            refused_answers_nothing: true,
            stopped_answers_nothing: true,
        }
    }
}
