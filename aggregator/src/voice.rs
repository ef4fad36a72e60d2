//! Whether a lane's worker tells readers anything. One that replays beside the lane's holder is silent: its position is
//! behind, and readers would take it for the lane's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The time at which this instance last looked at who holds what; shared by all its lanes.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    started: Instant,
    looked_ms: Arc<AtomicU64>,
    /// Who did not look for so long stood still, and others may hold its lanes meanwhile.
    valid_for: Duration,
}

impl Looks {
    pub(crate) fn new(valid_for: Duration) -> Self {
        Self { started: Instant::now(), looked_ms: Arc::default(), valid_for }
    }

    /// It has looked now, or tried to.
    pub(crate) fn looked(&self) {
        self.looked_ms.store(millis(self.started.elapsed()), Relaxed);
    }

    fn are_old(&self) -> bool {
        let since_ms = millis(self.started.elapsed()).saturating_sub(self.looked_ms.load(Relaxed));
        since_ms > millis(self.valid_for)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One lane's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voice {
    /// Absent where nobody else can work on the lane.
    looks: Option<Looks>,
    is_held: Arc<AtomicBool>,
    is_held_elsewhere: Arc<AtomicBool>,
}

impl Voice {
    /// The voice of a lane that others may hold as well.
    pub(crate) fn among_others(looks: Looks, is_held_elsewhere: bool) -> Self {
        let voice = Self { looks: Some(looks), ..Self::default() };
        voice.set(!is_held_elsewhere, is_held_elsewhere);
        voice
    }

    /// Who holds the lane, as this instance sees it.
    pub(crate) fn set(&self, is_held: bool, is_held_elsewhere: bool) {
        self.is_held.store(is_held, Relaxed);
        self.is_held_elsewhere.store(is_held_elsewhere, Relaxed);
    }

    /// Whether the worker may tell readers where it is.
    pub(crate) fn may_speak(&self, is_caught_up: bool) -> bool {
        let Some(looks) = &self.looks else { return true };
        let is_alone = !self.is_held_elsewhere.load(Relaxed);
        !looks.are_old() && (is_alone || (self.is_held.load(Relaxed) && is_caught_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_replays_beside_a_holder_is_silent() {
        let looks = Looks::new(Duration::from_secs(600));
        let voice = Voice::among_others(looks, true);
        assert!(!voice.may_speak(true), "not held yet");
        voice.set(true, true);
        assert!(voice.may_speak(true), "the other lets go soon");
        assert!(!voice.may_speak(false), "begun anew: the other goes on");
        voice.set(true, false);
        assert!(voice.may_speak(false), "nobody else tells anything");
        assert!(Voice::default().may_speak(false));
    }

    #[test]
    fn who_stood_still_is_silent_until_it_has_looked() {
        let looks = Looks::new(Duration::ZERO);
        let voice = Voice::among_others(looks.clone(), false);
        std::thread::sleep(Duration::from_millis(5));
        assert!(!voice.may_speak(true));
        let looks = Looks { valid_for: Duration::from_secs(600), ..looks };
        looks.looked();
        assert!(Voice { looks: Some(looks), ..voice }.may_speak(true));
    }
}
