//! Fills: one read of the store for all readers who want the same.

use std::sync::Arc;

use protocol::query::{FillOutcome, FillTicket};
use tokio::sync::watch;

use crate::{
    http::{answer::Answer, stamp::RenderedStamp},
    lanes::Lane,
    read::{self, Context, Found, Representation},
    reader::Reader,
};

/// The longest answer that is cached: a few of the longest must not push out thousands of days.
const MAX_CACHED_ANSWER_BYTES: usize = 256 * 1024;

/// How a fill has ended, for everyone who waits for it.
#[derive(Clone)]
pub(crate) enum Landed {
    /// An answer, with its own stamp.
    Answer(Arc<Answer>, Arc<RenderedStamp>),
    /// The account was never seen.
    Unknown,
    /// What was read says nothing any more: begin anew.
    Again,
    /// What was read may not be told before this sequence is applied: begin anew then.
    WaitsFor(u64),
    /// The store did not answer; whether a retry can help.
    Failed(bool),
}

/// A fill's ticket, given back even if the fill panics.
struct Boarding {
    lane: Arc<Lane>,
    ticket: Option<FillTicket<Representation>>,
}

impl Drop for Boarding {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lane.abandon_fill(ticket);
        }
    }
}

/// Reads in a task of its own: the reader who began it may go away, others may have joined.
pub(crate) fn depart(
    reader: &Arc<Reader>,
    generation: u32,
    lane: &Arc<Lane>,
    ticket: FillTicket<Representation>,
    sender: watch::Sender<Option<Landed>>,
) {
    let reader = Arc::clone(reader);
    let boarding = Boarding { lane: Arc::clone(lane), ticket: Some(ticket) };
    tokio::spawn(async move {
        let landed = fly(&reader, generation, boarding).await;
        sender.send_replace(Some(landed));
    });
}

async fn fly(reader: &Reader, generation: u32, mut boarding: Boarding) -> Landed {
    let Some(ticket) = boarding.ticket.as_ref() else { return Landed::Again };
    let Lane { log, partition, .. } = *boarding.lane;
    let context = Context { log, generation, partition };
    let Some(_permit) = reader.permit(&ticket.key().account.tenant).await else { return Landed::Failed(true) };
    let found = match read::answer(reader.store(), context, ticket).await {
        Ok(found) => found,
        Err(error) => return Landed::Failed(reader.note_failure(&error)),
    };
    reader.note_incarnation();
    let answer = match found {
        Found::Answer(answer) => Some(Arc::new(answer)),
        Found::Unknown => None,
        Found::WaitsFor(sequence) => return Landed::WaitsFor(sequence),
    };
    let Some(ticket) = boarding.ticket.take() else { return Landed::Again };
    land(&boarding.lane, ticket, answer)
}

fn land(lane: &Lane, ticket: FillTicket<Representation>, answer: Option<Arc<Answer>>) -> Landed {
    let keep = |answer: &Arc<Answer>| {
        let bytes = answer.memory_bytes();
        (bytes <= MAX_CACHED_ANSWER_BYTES).then(|| (Arc::clone(answer), bytes))
    };
    let kept = answer.as_ref().and_then(keep);
    match (lane.finish_fill(ticket, kept), answer) {
        (FillOutcome::Again, _) => Landed::Again,
        (FillOutcome::Answer(_), None) => Landed::Unknown,
        (FillOutcome::Answer(stamp), Some(answer)) => {
            let rendered = RenderedStamp::of_lane(lane.log, lane.partition, stamp);
            Landed::Answer(answer, Arc::new(rendered))
        }
    }
}
