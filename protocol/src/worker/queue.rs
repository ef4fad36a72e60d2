//! Read-ahead: parsed messages that wait for the commit before them.

use std::collections::VecDeque;

use super::parse::ParsedMessage;
use crate::log::{LogMark, LogMessage};

/// Messages in log order, bounded in bytes by whoever asks [`ReadAhead::bytes`] before it reads on.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    messages: VecDeque<ParsedMessage>,
    bytes: usize,
    /// The last message ever put in, with its text only as long as it may be needed to recognise the log.
    last: Option<LogMessage>,
}

impl ReadAhead {
    /// Appends a message. Empty ones in a row become one, so that a flood of them costs neither memory nor commits.
    pub(crate) fn push(&mut self, parsed: ParsedMessage) {
        self.last = Some(parsed.message.clone());
        if parsed.empty_messages > 0
            && let Some(tail) = self.messages.back_mut()
            && tail.empty_messages > 0
        {
            self.bytes -= tail.cost();
            tail.empty_messages += parsed.empty_messages;
            tail.message = parsed.message;
            self.bytes += tail.cost();
            return;
        }
        self.bytes += parsed.cost();
        self.messages.push_back(parsed);
    }

    pub(crate) fn pop(&mut self) -> Option<ParsedMessage> {
        let parsed = self.messages.pop_front()?;
        self.bytes -= parsed.cost();
        Some(parsed)
    }

    /// Puts back what was popped last.
    pub(crate) fn unpop(&mut self, parsed: ParsedMessage) {
        self.bytes += parsed.cost();
        self.messages.push_front(parsed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn last_sequence(&self) -> Option<u64> {
        self.last.as_ref().map(|message| message.sequence)
    }

    /// The last message ever read, committed or not.
    pub(crate) fn last_mark(&self) -> Option<LogMark> {
        self.last.as_ref().map(LogMessage::mark)
    }
}
