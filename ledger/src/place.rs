//! Where an entry stands in a lane of the log.

use serde::{Deserialize, Serialize};

/// The place of an entry in its lane: the stream sequence of its message, and its line in it, counted from 1 with
/// blank lines included. Places of one lane are totally ordered, and that order is the order of the fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Stream sequence of the message.
    pub sequence: u64,
    /// Line in the message, from 1.
    pub line: u32,
}

impl Place {
    /// The place of `line` in the message at `sequence`.
    pub const fn new(sequence: u64, line: u32) -> Self {
        Self { sequence, line }
    }
}
