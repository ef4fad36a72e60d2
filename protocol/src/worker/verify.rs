//! Whether log and store belong together.

use super::{Refusal, Worker};
use crate::{
    commit::{PartitionState, Progress},
    lane::MAX_PARTITIONS,
    log::{LogIdentity, LogMark, LogMessage},
};

/// The highest epoch: stamps of a higher one would lie too far in the future for CQL servers.
const MAX_EPOCH: u8 = 200;

/// What a message of the log is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Mark(LogMark),
    /// Progress holds no digest, but the log's time of its message.
    Time {
        sequence: u64,
        time_ms: i64,
    },
}

impl Known {
    pub(super) fn of_progress(progress: Option<&Progress>) -> Option<Self> {
        progress.map(|progress| Self::Time { sequence: progress.sequence, time_ms: progress.time_ms })
    }

    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Mark(mark) => mark.sequence,
            Self::Time { sequence, .. } => *sequence,
        }
    }

    fn mark(&self) -> LogMark {
        match self {
            Self::Mark(mark) => *mark,
            Self::Time { sequence, .. } => LogMark { sequence: *sequence, ..LogMark::default() },
        }
    }

    fn is(&self, message: &LogMessage) -> bool {
        match self {
            Self::Mark(mark) => message.mark() == *mark,
            Self::Time { sequence, time_ms } => message.sequence == *sequence && message.time_ms == *time_ms,
        }
    }
}

/// What the stored state says by itself.
///
/// Progress may lie above the head: a store that has lost the head while its worker did not know goes on to take rows and
/// progress. So both are looked up in the log.
pub(super) fn check_state(identity: &LogIdentity, partition: u16, state: &PartitionState) -> Result<(), Refusal> {
    check_identity(identity, partition)?;
    match &state.progress {
        Some(progress) if progress.identity != *identity => {
            let (stored, found) = (progress.identity.clone(), identity.clone());
            Err(Refusal::OtherLog { partition, stored, found })
        }
        _ => Ok(()),
    }
}

/// What another lane says of the store, which a worker asks before it fills a lane of which nothing
/// is stored: beside a log with another number of lanes the same accounts belong to other lanes, and
/// what is stored of them would be taken for this log's.
///
/// # Errors
/// The other lane was filled from such a log.
pub fn check_other_lane(identity: &LogIdentity, partition: u16, progress: Option<&Progress>) -> Result<(), Refusal> {
    match progress {
        Some(progress) if progress.identity.partitions != identity.partitions => {
            let (stored, found) = (progress.identity.clone(), identity.clone());
            Err(Refusal::OtherLog { partition, stored, found })
        }
        _ => Ok(()),
    }
}

/// How far readers may claim; 0 before the first commit.
pub(super) fn progress_of(state: &PartitionState) -> u64 {
    state.progress.as_ref().map_or(0, |progress| progress.sequence)
}

fn check_identity(identity: &LogIdentity, partition: u16) -> Result<(), Refusal> {
    let LogIdentity { epoch, partitions, .. } = *identity;
    if !(1..=MAX_EPOCH).contains(&epoch) {
        return Err(Refusal::BadIdentity { what: format!("epoch {epoch}") });
    }
    if !(1..=MAX_PARTITIONS).contains(&partitions) || partition >= partitions {
        return Err(Refusal::BadIdentity { what: format!("{partitions} partitions") });
    }
    Ok(())
}

impl Worker {
    /// What is stored when the reader is recreated, before [`Worker::marks_to_verify`] is asked: another worker of the lane
    /// may have written meanwhile. Where no other process can use the store there is no need for it.
    ///
    /// # Errors
    /// Log and store do not belong together.
    pub fn store_says(&mut self, state: &PartitionState) -> Result<(), Refusal> {
        check_state(&self.identity, self.partition, state)?;
        if state.head.sequence >= self.head.sequence {
            self.head = state.head;
        }
        self.stored_progress = Known::of_progress(state.progress.as_ref()).or(self.stored_progress);
        Ok(())
    }

    /// Messages that must be in the log as remembered, at the start and whenever the reader is recreated: what the store was
    /// filled from, and what this worker has read. A sequence may stand there twice. (Where only the time of a message is
    /// remembered the digest is zero.)
    pub fn marks_to_verify(&self) -> Vec<LogMark> {
        self.known().iter().map(Known::mark).collect()
    }

    /// Ordered, without repeats. What is remembered of one sequence may contradict itself: another worker has read another
    /// message there. Then no log agrees.
    fn known(&self) -> Vec<Known> {
        let mut known = Vec::new();
        if self.rules.verify_marks {
            known.extend([self.checkpoint, self.committed, self.head].map(Known::Mark));
            known.extend(self.stored_progress);
        }
        if self.rules.verify_last_read {
            known.extend(self.queue.last_mark().map(Known::Mark));
        }
        known.retain(|known| known.sequence() > 0);
        known.sort_by_key(|known| (known.sequence(), matches!(known, Known::Time { .. })));
        known.dedup();
        known
    }

    /// Compares what the log has at the sequences of [`Worker::marks_to_verify`], in the same order; `None` where it has no
    /// message.
    ///
    /// # Errors
    /// The log is not the one that the store was filled from, or has changed under the reader.
    pub fn verify(&mut self, found: &[Option<LogMessage>]) -> Result<(), Refusal> {
        let mut found = found.iter();
        for known in self.known() {
            let Some(message) = found.next().and_then(Option::as_ref).filter(|message| known.is(message)) else {
                return Err(self.differs(known.sequence()));
            };
            if message.sequence == self.committed.sequence {
                self.committed_time_ms = message.time_ms;
            }
        }
        self.is_verified = true;
        Ok(())
    }

    /// What this worker has read or written since it started may not be stored: a new one looks at what is.
    fn differs(&self, sequence: u64) -> Refusal {
        let partition = self.partition;
        if self.is_verified {
            Refusal::ReadMessageVanished { partition, sequence }
        } else {
            Refusal::LogDiffers { partition, sequence }
        }
    }
}
