//! The messages of one partition that are on their way.

use super::{Answer, Attempts, End, Patience, PublishingRules};
use crate::high_water::HighWater;

/// A message that has no end yet.
#[derive(Debug)]
pub struct OnItsWay<M> {
    number: u64,
    /// What is known of it.
    pub attempts: Attempts,
    /// What is sent, and who waits for it.
    pub message: M,
}

impl<M> OnItsWay<M> {
    /// By what its answers name it; no other message of the publisher has it.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The messages sent and not yet ended, of one partition of one publisher.
#[derive(Debug)]
pub struct Outstanding<M> {
    patience: Patience,
    rules: PublishingRules,
    begun: u64,
    messages: Vec<OnItsWay<M>>,
}

impl<M> Outstanding<M> {
    /// None yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, rules: PublishingRules::default(), begun: 0, messages: Vec::new() }
    }

    #[must_use]
    pub(crate) fn with_rules(mut self, rules: PublishingRules) -> Self {
        self.rules = rules;
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// When something must be done next if no answer comes, in milliseconds.
    pub fn due_ms(&self) -> Option<u64> {
        self.messages.iter().map(|message| message.attempts.due_ms()).min()
    }

    /// Gives a new message its number, when the log is `known` to reach to this sequence. It is sent next, and
    /// [kept](Self::keep) until it has its end.
    pub fn begin(&mut self, message: M, known: u64, now_ms: u64) -> OnItsWay<M> {
        self.begun += 1;
        let attempts = Attempts::new(now_ms, known, self.patience).with_rules(self.rules);
        OnItsWay { number: self.begun, attempts, message }
    }

    /// Waits for answers to this one.
    pub fn keep(&mut self, message: OnItsWay<M>) {
        self.messages.push(message);
    }

    /// An answer to the message with a number: the message and its end, if it has one now. An answer to none of them is of
    /// one that was given up, or the second to one that was sent twice. The pause is that before the message is sent again.
    pub fn answered(
        &mut self,
        number: u64,
        answer: Answer,
        high_water: &HighWater,
        now_ms: u64,
        pause_ms: impl FnOnce(&mut M) -> u64,
    ) -> Option<(OnItsWay<M>, End)> {
        let is_named = |message: &OnItsWay<M>| message.number == number || !self.rules.answers_by_number;
        let index = self.messages.iter().position(is_named)?;
        let OnItsWay { attempts, message, .. } = &mut self.messages[index];
        let end = attempts.answered(answer, high_water, now_ms, || pause_ms(message))?;
        Some((self.messages.remove(index), end))
    }

    /// Takes out those that are due, in the order in which they came; those that do not end are [kept](Self::keep) again.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<OnItsWay<M>> {
        self.messages.extract_if(.., |message| message.attempts.due_ms() <= now_ms).collect()
    }

    /// Takes out all of them.
    pub fn take_all(&mut self) -> Vec<OnItsWay<M>> {
        std::mem::take(&mut self.messages)
    }
}
