//! The task of one lane: what gathers while a message is on its way leaves with the next.

use std::{sync::Arc, time::Duration};

use async_nats::{Subject, client::PublishErrorKind as SendErrorKind};
use futures_util::StreamExt;
use retry::Backoff;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use super::{
    PublishError, PublishErrorKind, PublisherConfig,
    answer::Answer,
    message::{Message, Spares, not_sent},
    queue::LaneQueue,
    turns::{Turn, Turns},
};
use crate::{client::ConnectionEvents, log::Log, subjects};

/// First and longest pause between attempts to send one message again.
const AGAIN_INITIAL_MS: u64 = 50;
const AGAIN_MAX_MS: u64 = 2_000;

/// How long a look at the log may take. One that went to a leader who died is never answered, the next one is.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often in a row other tasks are let run without the queue growing, before a message leaves.
const GATHER_ROUNDS: u32 = 4;

/// What a lane's task owns.
pub(super) struct Lane {
    log: Log,
    partition: u16,
    queue: Arc<LaneQueue>,
    turns: Arc<Turns>,
    subject: Subject,
    inbox: String,
    answers: async_nats::Subscriber,
    connection: watch::Receiver<ConnectionEvents>,
    closing: watch::Receiver<Option<Instant>>,
    in_flight: Vec<InFlight>,
    /// A further message found no turn: there may be one when something of what is in flight has its outcome.
    lacks_turn: bool,
    spares: Spares,
    sent_messages: u64,
    /// Batches of the last message; 0 once nothing waited.
    last_batches: usize,
    ack_timeout: Duration,
    give_up_after: Duration,
}

/// A message sent and not yet acknowledged.
struct InFlight {
    number: u64,
    /// Given back when the message has its outcome, or is in trouble.
    turn: Option<Turn>,
    message: Message,
    started: Instant,
    /// When something must be done if no answer comes.
    due: Instant,
    pause: Backoff,
    /// Attempts that left.
    attempts: u32,
    /// Attempts that left and have no definite answer: while there are any, the message may be on the log.
    unclear: u32,
    last_trouble: String,
}

/// What a message's end means for those who wait.
enum End {
    Stored { sequence: u64, duplicate: bool },
    Failed(PublishErrorKind, String),
}

impl Lane {
    /// A lane whose answers are subscribed to.
    pub(super) async fn new(
        log: Log,
        partition: u16,
        queue: Arc<LaneQueue>,
        turns: Arc<Turns>,
        config: PublisherConfig,
        closing: watch::Receiver<Option<Instant>>,
    ) -> Result<Self, async_nats::SubscribeError> {
        let client = log.client().clone();
        let inbox = client.inner().new_inbox();
        let answers = client.inner().subscribe(format!("{inbox}.*")).await?;
        let mut connection = client.events();
        connection.mark_unchanged();
        Ok(Self {
            log,
            partition,
            queue,
            turns,
            subject: Subject::from(subjects::lane_subject(partition)),
            inbox,
            answers,
            connection,
            closing,
            in_flight: Vec::new(),
            lacks_turn: false,
            spares: Spares::default(),
            sent_messages: 0,
            last_batches: 0,
            ack_timeout: Duration::from_millis(config.ack_timeout_ms),
            give_up_after: Duration::from_millis(config.give_up_after_ms.max(config.ack_timeout_ms)),
        })
    }

    /// Runs until it is closed and empty, or its time to close is over.
    pub(super) async fn run(mut self) {
        loop {
            if self.in_flight.is_empty() && !self.queue.takes() {
                self.probe().await;
            }
            while self.may_send() && self.send_next().await {}
            let closing = *self.closing.borrow_and_update();
            if closing.is_some_and(|deadline| self.is_done(deadline)) {
                return self.finish();
            }
            if !self.wait(closing).await {
                return self.finish();
            }
        }
    }

    /// Waits for whatever comes first and acts on it; `false` when the client is closed and nothing will ever be answered.
    async fn wait(&mut self, closing: Option<Instant>) -> bool {
        let may_fill = !std::mem::take(&mut self.lacks_turn) && self.queue.takes();
        let sends_from = self.turns.sends_from(self.in_flight.len()).filter(|_| may_fill);
        let due = self.in_flight.iter().map(|message| message.due).min();
        // Cut off, with nothing on its way: no answer comes and the connection may be good, so that only another look helps.
        let look = (self.in_flight.is_empty() && !self.queue.takes()).then(Instant::now);
        let deadline = due.into_iter().chain(look).chain(closing).min();
        tokio::select! {
            biased;
            answer = self.answers.next() => match answer {
                Some(answer) => self.on_answer(&answer),
                None => return false,
            },
            () = self.queue.filled(sends_from.unwrap_or(usize::MAX)), if sends_from.is_some() => {}
            Ok(()) = self.connection.changed() => self.send_all_again().await,
            Ok(()) = self.closing.changed() => {}
            () = sleep_until(deadline) => self.on_time().await,
        }
        true
    }

    /// Whether as much waits as the next message must have.
    fn may_send(&self) -> bool {
        self.turns
            .sends_from(self.in_flight.len())
            .is_some_and(|bytes| bytes == 1 || self.queue.waiting_bytes() >= bytes)
    }

    fn is_done(&self, deadline: Instant) -> bool {
        (self.in_flight.is_empty() && self.queue.waiting() == 0) || Instant::now() >= deadline
    }

    /// Those who were answered together come back together: lets them hand over what they have next, so that it does not
    /// leave as one message with the first and another with the rest. Nobody waits for a time: it goes on while tasks that
    /// are ready add to the queue, and only after a message that several shared.
    async fn gather(&self) {
        let mut waiting = self.queue.waiting();
        let mut rounds_without_growth = 0;
        while waiting < self.last_batches && rounds_without_growth < GATHER_ROUNDS {
            tokio::task::yield_now().await;
            let now_waiting = self.queue.waiting();
            rounds_without_growth = if now_waiting > waiting { 0 } else { rounds_without_growth + 1 };
            waiting = now_waiting;
        }
    }

    /// Sends the next message, if something waits and the lane is not in trouble.
    async fn send_next(&mut self) -> bool {
        if self.queue.waiting() == 0 {
            self.last_batches = 0;
            return false;
        }
        let turn = self.turn().await;
        if turn.is_none() && !self.in_flight.is_empty() {
            self.lacks_turn = true;
            return false;
        }
        if self.last_batches > 1 && self.in_flight.is_empty() {
            self.gather().await;
        }
        let batches = self.queue.take();
        self.last_batches = batches.len();
        if batches.is_empty() {
            return false;
        }
        let now = Instant::now();
        self.sent_messages += 1;
        let mut message = InFlight {
            number: self.sent_messages,
            turn,
            message: Message::pack(self.partition, self.log.stream_name(), batches, &mut self.spares),
            started: now,
            due: now + self.ack_timeout,
            pause: Backoff::new(AGAIN_INITIAL_MS, AGAIN_MAX_MS),
            attempts: 0,
            unclear: 0,
            last_trouble: "no acknowledgement in time".to_owned(),
        };
        match self.send(&mut message).await {
            Ok(()) => self.in_flight.push(message),
            Err(end) => self.end(message, end),
        }
        true
    }

    /// The turn of what waits; `None` when patience is over, or when a further message finds none at once.
    async fn turn(&self) -> Option<Turn> {
        let bytes = self.queue.waiting_bytes();
        if self.in_flight.is_empty() { self.turns.turn(bytes).await } else { self.turns.further(bytes) }
    }

    /// One attempt. What cannot be handed over now stays in flight and is tried again.
    async fn send(&self, message: &mut InFlight) -> Result<(), End> {
        let client = self.log.client();
        if !client.is_connected() {
            "not connected to NATS".clone_into(&mut message.last_trouble);
            message.due = message.due.min(Instant::now() + message.pause.next_delay());
            return Ok(());
        }
        let reply = format!("{}.{}", self.inbox, message.number);
        let (headers, payload) = (message.message.headers.clone(), message.message.payload.clone());
        let handing_over = client.inner().publish_with_reply_and_headers(self.subject.clone(), reply, headers, payload);
        match timeout(self.ack_timeout, handing_over).await {
            Ok(Ok(())) => {
                message.attempts += 1;
                message.unclear += 1;
                self.log.note_sent();
            }
            Ok(Err(error)) if error.kind() == SendErrorKind::Send => {
                return Err(End::Failed(message.failure_kind(), "the connection to NATS is closed".to_owned()));
            }
            // Refused on this side, as too long: of an earlier attempt, to a server that took more, that says nothing.
            Ok(Err(error)) => {
                return Err(End::Failed(message.unless_unclear(PublishErrorKind::Refused), error.to_string()));
            }
            Err(_) => "the connection to NATS takes nothing".clone_into(&mut message.last_trouble),
        }
        Ok(())
    }

    fn on_answer(&mut self, answer: &async_nats::Message) {
        let number = answer.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
        let answer = Answer::read(answer);
        if answer.is_definite() {
            self.log.note_answered();
        }
        let Some(index) = self.in_flight.iter().position(|message| Some(message.number) == number) else {
            return; // Of a message that was given up, or the second answer of one that was sent twice.
        };
        let Some(end) = self.read(index, answer) else { return };
        let message = self.in_flight.remove(index);
        self.end(message, end);
    }

    /// What an answer means for its message; `None` when it is to be tried again.
    fn read(&mut self, index: usize, answer: Answer) -> Option<End> {
        let message = &mut self.in_flight[index];
        match answer {
            Answer::Stored { sequence, duplicate } => {
                // After several attempts the one before is most likely our own, whose answer was lost.
                Some(End::Stored { sequence, duplicate: duplicate && message.attempts == 1 })
            }
            Answer::NotThere => {
                message.unclear = message.unclear.saturating_sub(1);
                message.again_soon("JetStream is not there (no responders)");
                None
            }
            Answer::Unclear(text) => {
                message.again_soon(&text);
                None
            }
            Answer::Full(text) => Some(message.definite_end(PublishErrorKind::LogFull, text)),
            Answer::Refused(text) => Some(message.definite_end(PublishErrorKind::Refused, text)),
        }
    }

    /// Something is due: a message to send again or to give up.
    async fn on_time(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.in_flight.len() {
            if self.in_flight[index].due > now {
                index += 1;
                continue;
            }
            let message = self.in_flight.remove(index);
            self.overdue(message, now).await;
            // Kept messages go to the end: the one now at `index` has not been looked at, or was and is not due.
        }
    }

    async fn overdue(&mut self, mut message: InFlight, now: Instant) {
        let age = now.saturating_duration_since(message.started);
        let in_trouble = age >= self.ack_timeout;
        if in_trouble {
            message.turn = None;
            self.trouble(&message.last_trouble);
        }
        if age >= self.give_up_after || (in_trouble && message.unclear == 0) {
            let end = End::Failed(message.failure_kind(), message.last_trouble.clone());
            return self.end(message, end);
        }
        let limit = if in_trouble { self.give_up_after } else { self.ack_timeout };
        message.due = (now + message.pause.next_delay()).min(message.started + limit);
        match self.send(&mut message).await {
            Ok(()) => self.in_flight.push(message),
            Err(end) => self.end(message, end),
        }
    }

    /// The connection was made anew: what was on its way may be lost, and so may the answers.
    async fn send_all_again(&mut self) {
        for mut message in std::mem::take(&mut self.in_flight) {
            match self.send(&mut message).await {
                Ok(()) => self.in_flight.push(message),
                Err(end) => self.end(message, end),
            }
        }
    }

    fn end(&mut self, mut message: InFlight, end: End) {
        // The next lane packs while those who waited for this message are told.
        message.turn = None;
        match end {
            End::Stored { sequence, duplicate } => {
                self.recovered();
                if !duplicate {
                    self.log.note_stored(message.message.entries);
                }
                message.message.published(sequence, duplicate, &mut self.spares);
            }
            End::Failed(kind, text) => {
                let text = describe(kind, &text);
                warn!(partition = self.partition, ?kind, "{text}");
                let retry_after_s = self.queue.retry_after_s();
                message.message.failed(&PublishError { kind, message: text, retry_after_s });
            }
        }
    }

    fn trouble(&self, why: &str) {
        let (news, unsent) = self.queue.trouble();
        if news {
            warn!(partition = self.partition, unsent = unsent.len(), "the log does not acknowledge: {why}");
        }
        not_sent(unsent, &format!("the log does not acknowledge: {why}"), self.queue.retry_after_s());
    }

    fn recovered(&self) {
        if self.queue.recovered() {
            info!(partition = self.partition, "the log acknowledges again");
        }
    }

    /// Nothing is in flight and nothing is taken: asks the log whether it is there again.
    async fn probe(&mut self) {
        if self.closing.borrow().is_some() {
            return;
        }
        if let Err(wait_ms) = self.queue.may_probe() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                Ok(()) = self.connection.changed() => {}
                Ok(()) = self.closing.changed() => return,
            }
        }
        let verified = tokio::select! {
            verified = timeout(LOOK_TIMEOUT, self.log.verify()) => verified,
            Ok(()) = self.closing.changed() => return,
        };
        match verified {
            Ok(Ok(())) => self.recovered(),
            Ok(Err(error)) => self.trouble(&error.to_string()),
            Err(_) => self.trouble("JetStream does not answer"),
        }
    }

    /// Answers everybody who still waits.
    fn finish(&mut self) {
        let unsent = self.queue.empty();
        not_sent(unsent, "the publisher ended before this was sent", 1);
        for message in std::mem::take(&mut self.in_flight) {
            let end = End::Failed(message.failure_kind(), "the publisher ended before the log answered".to_owned());
            self.end(message, end);
        }
    }
}

impl InFlight {
    /// What giving up now means.
    fn failure_kind(&self) -> PublishErrorKind {
        self.unless_unclear(PublishErrorKind::NotSent)
    }

    /// What certainly kept the message off the log is only certain while no attempt is unclear.
    fn unless_unclear(&self, kind: PublishErrorKind) -> PublishErrorKind {
        if self.unclear == 0 { kind } else { PublishErrorKind::Unknown }
    }

    /// A definite "no" to one attempt; it is definite for the message only if no other attempt is unclear.
    fn definite_end(&mut self, kind: PublishErrorKind, text: String) -> End {
        self.unclear = self.unclear.saturating_sub(1);
        End::Failed(self.unless_unclear(kind), text)
    }

    fn again_soon(&mut self, why: &str) {
        why.clone_into(&mut self.last_trouble);
        self.due = self.due.min(Instant::now() + self.pause.next_delay());
    }
}

fn describe(kind: PublishErrorKind, text: &str) -> String {
    match kind {
        PublishErrorKind::NotSent => format!("not sent to the log: {text}"),
        PublishErrorKind::Unknown => format!("it is not known whether the log has it: {text}"),
        PublishErrorKind::LogFull => format!("the log is full: {text}"),
        PublishErrorKind::Refused => format!("the log refuses it: {text}"),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
