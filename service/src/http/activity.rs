//! What has happened on a connection: counters without a clock, sampled by a watch at a slow tick, so that a request pays
//! a few relaxed additions and no timer.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::HttpLimits;

/// Shared by the stream, the service and the watch of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_written: AtomicU64,
    /// The client does not take what is to be written.
    pub(super) write_blocked: AtomicBool,
    /// The body of the last request has not been read to its end.
    pub(super) has_unread_body: AtomicBool,
    requests: AtomicU64,
    in_flight: AtomicU32,
    /// `bytes_read` when the last request's head was complete or its answer ended.
    read_mark: AtomicU64,
    /// What the watch saw at its last look: `requests`, and since when there was none in work.
    watched: Mutex<Option<(u64, Instant)>>,
    room_wanted: Notify,
}

/// Held from a request's head to the end of its answer.
pub(super) struct InFlight(Arc<Activity>);

impl Activity {
    /// Of a connection that was just made.
    pub(super) fn new() -> Self {
        Self { watched: Mutex::new(Some((0, Instant::now()))), ..Self::default() }
    }

    /// How long there has been no request; `None` when there is one, or was one a moment ago.
    pub(super) fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let (requests, since) = (*self.lock_watched())?;
        let is_quiet = !self.is_busy() && requests == self.requests.load(Relaxed);
        is_quiet.then(|| now.saturating_duration_since(since))
    }

    /// Asks the connection to end, unless it gets a request first: then after that one's answer. It is not asked twice.
    pub(super) fn make_room(&self) {
        *self.lock_watched() = None;
        self.room_wanted.notify_one();
    }

    /// Waits until the connection is asked to end. Cancel safe.
    pub(super) async fn asked_to_make_room(&self) {
        self.room_wanted.notified().await;
    }

    fn note_quiet_since(&self, requests: u64, since: Instant) {
        if let Some(watched) = self.lock_watched().as_mut() {
            *watched = (requests, since);
        }
    }

    fn lock_watched(&self) -> MutexGuard<'_, Option<(u64, Instant)>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Whether a request is being answered, or its answer is still to be taken.
    pub(super) fn is_busy(&self) -> bool {
        self.is_answering() || self.write_blocked.load(Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    fn has_partial_head(&self) -> bool {
        self.bytes_read.load(Relaxed) > self.read_mark.load(Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.read_mark.store(self.0.bytes_read.load(Relaxed), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The head did not end in time.
    Head,
    /// No request came.
    Idle,
    /// The answer was not taken.
    Write,
}

/// The watch of one connection: told the time, it says whether the client stands still for too long.
pub(super) struct Watch {
    requests: u64,
    bytes_written: u64,
    waiting_since: Instant,
    head_since: Option<Instant>,
    written_at: Instant,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self { requests: 0, bytes_written: 0, waiting_since: now, head_since: None, written_at: now }
    }

    /// Looks at the counters. Times are as exact as the ticks are dense.
    pub(super) fn look(&mut self, activity: &Activity, limits: &HttpLimits, now: Instant) -> Option<Cut> {
        let over = |since: Instant, limit_ms: u64| now.duration_since(since) >= Duration::from_millis(limit_ms);
        let written = activity.bytes_written.load(Relaxed);
        if written != self.bytes_written || !activity.write_blocked.load(Relaxed) {
            self.bytes_written = written;
            self.written_at = now;
        }
        let (busy, requests) = (activity.is_busy(), activity.requests.load(Relaxed));
        if busy || requests != self.requests {
            self.requests = requests;
            self.waiting_since = now;
            self.head_since = None;
            activity.note_quiet_since(requests, now);
        }
        if busy {
            return over(self.written_at, limits.write_timeout_ms).then_some(Cut::Write);
        }
        if !activity.has_partial_head() {
            self.head_since = None;
            return over(self.waiting_since, limits.idle_timeout_ms).then_some(Cut::Idle);
        }
        let since = *self.head_since.get_or_insert(now);
        over(since, limits.head_timeout_ms).then_some(Cut::Head)
    }

    /// The tick that keeps every bound exact to a quarter of the shortest one.
    pub(super) fn tick(limits: &HttpLimits) -> Duration {
        let shortest_ms = limits.head_timeout_ms.min(limits.idle_timeout_ms).min(limits.write_timeout_ms);
        Duration::from_millis((shortest_ms / 4).clamp(5, 2_500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> HttpLimits {
        HttpLimits { head_timeout_ms: 100, idle_timeout_ms: 1_000, write_timeout_ms: 300, ..HttpLimits::default() }
    }

    #[test]
    fn a_silent_connection_is_idle_and_a_half_sent_head_is_cut_earlier() {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        let mut watch = Watch::new(start);
        let mut at = |ms| watch.look(&activity, &limits(), start + Duration::from_millis(ms));
        assert_eq!(at(900), None);
        activity.bytes_read.store(5, Relaxed);
        assert_eq!(at(950), None);
        activity.bytes_read.store(6, Relaxed);
        assert_eq!(at(1_049), None, "one byte at a time does not stop the clock of the head");
        assert_eq!(at(1_050), Some(Cut::Head));
    }

    #[test]
    fn an_answered_request_starts_the_idle_time_anew() {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        let mut watch = Watch::new(start);
        let mut at = |ms| watch.look(&activity, &limits(), start + Duration::from_millis(ms));
        activity.bytes_read.store(50, Relaxed);
        let request = activity.begin();
        assert_eq!(at(5_000), None, "a request in flight is not idle");
        drop(request);
        assert_eq!(at(5_999), None);
        assert_eq!(at(6_000), Some(Cut::Idle));
        drop(activity.begin());
        assert_eq!(at(6_100), None, "a request between two looks counts");
    }

    #[test]
    fn an_answer_that_is_not_taken_is_cut() {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        let mut watch = Watch::new(start);
        let mut at = |ms| watch.look(&activity, &limits(), start + Duration::from_millis(ms));
        let _request = activity.begin();
        assert_eq!(at(1_000), None);
        activity.write_blocked.store(true, Relaxed);
        assert_eq!(at(1_299), None);
        activity.bytes_written.store(1, Relaxed);
        assert_eq!(at(1_400), None);
        assert_eq!(at(1_700), Some(Cut::Write));
    }
}
