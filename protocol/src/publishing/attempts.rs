//! The attempts to send one message.

use super::{Answer, End, Patience, PublishFailure, PublishingRules};
use crate::high_water::HighWater;

/// What is known of the attempts to send one message, and when something must be done about it.
#[derive(Clone, Debug)]
pub struct Attempts {
    patience: Patience,
    rules: PublishingRules,
    started_ms: u64,
    due_ms: u64,
    /// How far the log was known to reach before the first attempt.
    known: u64,
    /// Attempts that left.
    left: u32,
    /// Attempts that left and have no definite answer: while there are any, the message may be on the log.
    unclear: u32,
}

/// What to do with a message whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The log does not acknowledge: what waits behind this message is not sent.
    pub in_trouble: bool,
    /// The message's end; `None` when it is to be sent again.
    pub end: Option<End>,
}

impl Attempts {
    /// None so far; the log is `known` to reach to this sequence.
    pub fn new(now_ms: u64, known: u64, patience: Patience) -> Self {
        let give_up_after_ms = patience.give_up_after_ms.max(patience.ack_timeout_ms);
        Self {
            patience: Patience { give_up_after_ms, ..patience },
            rules: PublishingRules::default(),
            started_ms: now_ms,
            due_ms: now_ms.saturating_add(patience.ack_timeout_ms),
            known,
            left: 0,
            unclear: 0,
        }
    }

    #[must_use]
    pub(crate) fn with_rules(mut self, rules: PublishingRules) -> Self {
        self.rules = rules;
        self
    }

    /// When something must be done if no answer comes, in milliseconds.
    pub fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// An attempt left: from here on it may be stored.
    pub fn left(&mut self) {
        self.left = self.left.saturating_add(1);
        self.unclear = self.unclear.saturating_add(u32::from(self.rules.silence_is_unclear));
    }

    /// No attempt could be made, or one came to nothing: the next is due after a pause.
    pub fn again_after(&mut self, now_ms: u64, pause_ms: u64) {
        self.due_ms = self.due_ms.min(now_ms.saturating_add(pause_ms));
    }

    /// What an answer to one of the attempts means for the message; `None` when it is to be sent again, which is due after
    /// the pause that is asked for only then.
    pub fn answered(
        &mut self,
        answer: Answer,
        high_water: &HighWater,
        now_ms: u64,
        pause_ms: impl FnOnce() -> u64,
    ) -> Option<End> {
        match answer {
            // Its position was given out before: nobody must be told that it is this message's.
            Answer::Stored { sequence, duplicate: false } if high_water.stored(sequence, self.known).is_err() => {
                return Some(End::Failed(PublishFailure::Unknown));
            }
            // After several attempts the one before is most likely our own, whose answer was lost.
            Answer::Stored { sequence, duplicate } => {
                return Some(End::Stored { sequence, duplicate: duplicate && self.left == 1 });
            }
            Answer::Full => return Some(self.definite_no(PublishFailure::LogFull)),
            Answer::Refused => return Some(self.definite_no(PublishFailure::Refused)),
            Answer::NotThere => self.unclear = self.unclear.saturating_sub(1),
            Answer::Unclear => {}
        }
        self.again_after(now_ms, pause_ms());
        None
    }

    /// The message is due. When it is to be sent again, the time after that is due by the pause.
    pub fn overdue(&mut self, now_ms: u64, pause_ms: impl FnOnce() -> u64) -> Overdue {
        let age_ms = now_ms.saturating_sub(self.started_ms);
        let in_trouble = age_ms >= self.patience.ack_timeout_ms;
        if age_ms >= self.patience.give_up_after_ms || (in_trouble && self.unclear == 0) {
            return Overdue { in_trouble, end: Some(self.given_up()) };
        }
        let limit_ms = if in_trouble { self.patience.give_up_after_ms } else { self.patience.ack_timeout_ms };
        let latest_ms = self.started_ms.saturating_add(limit_ms);
        self.due_ms = now_ms.saturating_add(pause_ms()).min(latest_ms);
        Overdue { in_trouble, end: None }
    }

    /// What it means that no further attempt is made.
    pub fn given_up(&self) -> End {
        End::Failed(self.unless_unclear(PublishFailure::NotSent))
    }

    /// The message is refused on this side: of an earlier attempt, to a server that took more, that says nothing.
    pub fn refused_here(&self) -> End {
        End::Failed(self.unless_unclear(PublishFailure::Refused))
    }

    /// A definite "no" to one attempt; it is definite for the message only if no other attempt is unclear.
    fn definite_no(&mut self, failure: PublishFailure) -> End {
        self.unclear = self.unclear.saturating_sub(1);
        End::Failed(self.unless_unclear(failure))
    }

    fn unless_unclear(&self, failure: PublishFailure) -> PublishFailure {
        if self.unclear == 0 || !self.rules.unclear_attempts_count { failure } else { PublishFailure::Unknown }
    }
}
