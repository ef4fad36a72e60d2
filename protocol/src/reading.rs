//! Reading one partition of the log in order and without gaps, through consumers that lose, repeat and forget.
//!
//! | what happens | what is done |
//! |---|---|
//! | a delivery has the number that follows | its message is handed out |
//! | it has another | something was lost on the way: the consumer is made anew at the next wanted sequence |
//! | its sequence was handed out before | the log goes back: refused |
//! | nobody says anything for a while | the consumer is made anew |
//! | nothing comes for a while | the log's end is looked at |
//! | the log ends before what was handed out | refused |
//! | the partition goes on, and still nothing comes | the consumer is made anew |
//!
//! A consumer made anew begins at the next wanted sequence: that the log still holds what was handed out before, the caller
//! checks then. Times are milliseconds of the reader's own clock.

#[cfg(test)]
mod tests;

/// What to do after something came, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The message is the next one: the caller gets it.
    HandOut,
    /// Nothing.
    Continue,
    /// The consumer is made anew.
    Recreate(Why),
    /// The log is not the one that was read before: nothing of it is handed out.
    Refuse(Refusal),
}

/// Why a consumer is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A delivery is missing, or came twice.
    #[error("delivery {number} follows {last}")]
    Gap {
        /// The number of the delivery.
        number: u64,
        /// The number of the one before.
        last: u64,
    },
    /// See the text.
    #[error("the server is silent")]
    Silence,
    /// See the text.
    #[error("nothing comes although the lane goes on")]
    Stuck,
}

/// Why a log is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A sequence comes again.
    #[error("the log hands out sequence {sequence} again, {next} was to come: it lost its tail, or is another one")]
    GoesBack {
        /// The sequence that came.
        sequence: u64,
        /// The lowest that was to come.
        next: u64,
    },
    /// The log lacks what was handed out.
    #[error("the log ends at sequence {end} and {last} was read before: it lost its tail, or is another one")]
    EndsBefore {
        /// The log's last sequence.
        end: u64,
        /// The highest that was handed out.
        last: u64,
    },
}

/// What is to be asked after the end of the whole log is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Where the partition ends; the answer goes to [`Reading::partition_ends_at`].
    AskPartition,
    /// Nothing: the log has not grown.
    Enough,
    /// See [`Refusal::EndsBefore`].
    Refuse(Refusal),
}

/// Rules that can be left out, to show what they are there for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadingRules {
    /// Deliveries follow each other by number.
    pub(crate) deliveries_are_numbered: bool,
    /// A log that goes back is refused.
    pub(crate) going_back_is_refused: bool,
    /// A log that ends before what was handed out is refused.
    pub(crate) short_log_is_refused: bool,
    /// A silent server's consumer is made anew.
    pub(crate) silence_recreates: bool,
    /// So is one that delivers nothing although the partition goes on.
    pub(crate) stuck_recreates: bool,
}

impl Default for ReadingRules {
    fn default() -> Self {
        Self {
            deliveries_are_numbered: true,
            going_back_is_refused: true,
            short_log_is_refused: true,
            silence_recreates: true,
            stuck_recreates: true,
        }
    }
}

/// A reader's view of one partition and of its present consumer.
#[derive(Clone, Debug)]
pub struct Reading {
    rules: ReadingRules,
    silence_ms: u64,
    next: u64,
    consumer: Consumer,
}

/// What is known of the present consumer.
#[derive(Clone, Copy, Debug)]
struct Consumer {
    /// Deliveries so far: the next must have the number after it.
    delivered: u64,
    /// When the server last said anything.
    heard_ms: u64,
    /// When the partition's end is looked at, if nothing comes until then.
    look_at_end_ms: u64,
    /// The log's last sequence when the partition had nothing more: while it stays, the partition has not grown.
    log_end: u64,
    /// Nothing came although the partition goes on; not yet given up, for it may be on its way.
    is_suspicious: bool,
}

impl Reading {
    /// Nothing is handed out yet. When the server says nothing for `silence_ms`, or nothing comes for as long although the
    /// partition goes on, the consumer is made anew.
    pub fn new(from: u64, silence_ms: u64) -> Self {
        let consumer = Consumer { delivered: 0, heard_ms: 0, look_at_end_ms: 0, log_end: 0, is_suspicious: false };
        Self { rules: ReadingRules::default(), silence_ms, next: from.max(1), consumer }
    }

    #[must_use]
    pub(crate) fn with_rules(mut self, rules: ReadingRules) -> Self {
        self.rules = rules;
        self
    }

    /// The lowest sequence that has not been handed out.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// A consumer was made that begins at [`Self::next_sequence`].
    pub fn created(&mut self, now_ms: u64) {
        let look_at_end_ms = now_ms.saturating_add(self.silence_ms);
        self.consumer = Consumer { delivered: 0, heard_ms: now_ms, look_at_end_ms, log_end: 0, is_suspicious: false };
    }

    /// The server said something, or was only now asked to.
    pub fn heard(&mut self, now_ms: u64) {
        self.consumer.heard_ms = now_ms;
    }

    /// A message came, with its number among the consumer's deliveries.
    pub fn delivered(&mut self, number: u64, sequence: u64) -> Step {
        let last = self.consumer.delivered;
        if number != last + 1 && self.rules.deliveries_are_numbered {
            return Step::Recreate(Why::Gap { number, last });
        }
        if sequence < self.next && self.rules.going_back_is_refused {
            return Step::Refuse(Refusal::GoesBack { sequence, next: self.next });
        }
        self.consumer.delivered = number;
        self.consumer.look_at_end_ms = self.consumer.heard_ms.saturating_add(self.silence_ms);
        self.consumer.is_suspicious = false;
        self.next = sequence.saturating_add(1);
        Step::HandOut
    }

    /// When [`Self::silent`] is to be asked, if nothing comes until then.
    pub fn silent_at_ms(&self) -> u64 {
        self.consumer.heard_ms.saturating_add(self.silence_ms)
    }

    /// When the log's end is to be looked at, if no message comes until then.
    pub fn look_at_end_ms(&self) -> u64 {
        self.consumer.look_at_end_ms
    }

    /// What the time means, when nothing was heard.
    pub fn silent(&self, now_ms: u64) -> Step {
        let is_over = now_ms >= self.silent_at_ms() && self.rules.silence_recreates;
        if is_over { Step::Recreate(Why::Silence) } else { Step::Continue }
    }

    /// The last sequence of the whole log. Nothing came for a while, though the server says that it is there: is there
    /// really nothing?
    pub fn log_ends_at(&self, end: u64) -> Look {
        if end.saturating_add(1) < self.next && self.rules.short_log_is_refused {
            return Look::Refuse(Refusal::EndsBefore { end, last: self.next - 1 });
        }
        if self.consumer.log_end == end && !self.consumer.is_suspicious { Look::Enough } else { Look::AskPartition }
    }

    /// The last sequence of the partition, if it was asked for and there is one, when the log ended at `log_end`.
    pub fn partition_ends_at(&mut self, log_end: u64, partition_end: Option<u64>, now_ms: u64) -> Step {
        let is_behind = partition_end.is_some_and(|end| end >= self.next);
        if is_behind && self.consumer.is_suspicious && self.rules.stuck_recreates {
            return Step::Recreate(Why::Stuck);
        }
        // While something is behind the partition is asked again, also if another message comes first.
        if !is_behind {
            self.consumer.log_end = log_end;
        }
        self.consumer.is_suspicious = is_behind;
        // What is behind is most likely on its way: half the time will do for the second look.
        let wait_ms = if is_behind { self.silence_ms / 2 } else { self.silence_ms };
        self.consumer.look_at_end_ms = now_ms.saturating_add(wait_ms);
        Step::Continue
    }
}
