//! The task of one lane: what gathers while a message is on its way leaves with the next.

use std::{sync::Arc, time::Duration};

use async_nats::{Subject, client::PublishErrorKind as SendErrorKind};
use futures_util::StreamExt;
use protocol::publishing::{Answer, End, OnItsWay, Outstanding, Patience};
use retry::Backoff;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use super::{
    PublishError, PublishErrorKind, PublisherConfig,
    answer::Heard,
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
    in_flight: Outstanding<Sending>,
    /// A further message found no turn: there may be one when something of what is in flight has its outcome.
    lacks_turn: bool,
    spares: Spares,
    /// Batches of the last message; 0 once nothing waited.
    last_batches: usize,
    ack_timeout: Duration,
    /// From where the times of what is in flight count.
    start: Instant,
}

/// What is sent, until it has its end.
struct Sending {
    /// Given back when the message has its outcome, or is in trouble.
    turn: Option<Turn>,
    message: Message,
    pause: Backoff,
    last_trouble: String,
}

type InFlight = OnItsWay<Sending>;

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
            in_flight: Outstanding::new(Patience {
                ack_timeout_ms: config.ack_timeout_ms,
                give_up_after_ms: config.give_up_after_ms,
            }),
            lacks_turn: false,
            spares: Spares::default(),
            last_batches: 0,
            ack_timeout: Duration::from_millis(config.ack_timeout_ms),
            start: Instant::now(),
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
        let due = self.in_flight.due_ms().map(|due_ms| self.start + Duration::from_millis(due_ms));
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
        let sending = Sending {
            turn,
            message: Message::pack(self.partition, self.log.stream_name(), batches, &mut self.spares),
            pause: Backoff::new(AGAIN_INITIAL_MS, AGAIN_MAX_MS),
            last_trouble: "no acknowledgement in time".to_owned(),
        };
        let message = self.in_flight.begin(sending, self.log.high_water().known(), self.now_ms());
        self.send_or_end(message).await;
        true
    }

    async fn send_or_end(&mut self, mut message: InFlight) {
        match self.send(&mut message).await {
            Ok(()) => self.in_flight.keep(message),
            Err((end, why)) => self.end(message, end, &why),
        }
    }

    /// The turn of what waits; `None` when patience is over, or when a further message finds none at once.
    async fn turn(&self) -> Option<Turn> {
        let bytes = self.queue.waiting_bytes();
        if self.in_flight.is_empty() { self.turns.turn(bytes).await } else { self.turns.further(bytes) }
    }

    /// One attempt. What cannot be handed over now stays in flight and is tried again; what never can be ends.
    async fn send(&self, message: &mut InFlight) -> Result<(), (End, String)> {
        let client = self.log.client();
        let reply = format!("{}.{}", self.inbox, message.number());
        let OnItsWay { attempts, message, .. } = message;
        if !client.is_connected() {
            "not connected to NATS".clone_into(&mut message.last_trouble);
            attempts.again_after(self.now_ms(), message.next_pause_ms());
            return Ok(());
        }
        let (headers, payload) = (message.message.headers.clone(), message.message.payload.clone());
        let handing_over = client.inner().publish_with_reply_and_headers(self.subject.clone(), reply, headers, payload);
        match timeout(self.ack_timeout, handing_over).await {
            Ok(Ok(())) => {
                attempts.left();
                self.log.note_sent();
            }
            Ok(Err(error)) if error.kind() == SendErrorKind::Send => {
                return Err((attempts.given_up(), "the connection to NATS is closed".to_owned()));
            }
            // Refused on this side, as too long.
            Ok(Err(error)) => return Err((attempts.refused_here(), error.to_string())),
            Err(_) => "the connection to NATS takes nothing".clone_into(&mut message.last_trouble),
        }
        Ok(())
    }

    fn on_answer(&mut self, answer: &async_nats::Message) {
        let number = answer.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
        let Heard { answer, text } = Heard::read(answer);
        if answer.is_definite() {
            self.log.note_answered();
        }
        let now_ms = self.now_ms();
        let pause_ms = |sending: &mut Sending| {
            text.clone_into(&mut sending.last_trouble);
            sending.next_pause_ms()
        };
        let high_water = self.log.high_water();
        let ended = number.and_then(|number| self.in_flight.answered(number, answer, high_water, now_ms, pause_ms));
        if let Some((message, end)) = ended {
            let went_back = high_water.went_back().filter(|_| matches!(answer, Answer::Stored { .. }));
            let why = went_back.map_or(text, |went_back| went_back.to_string());
            self.end(message, end, &why);
        }
    }

    /// Something is due: a message to send again or to give up.
    async fn on_time(&mut self) {
        for message in self.in_flight.take_due(self.now_ms()) {
            self.overdue(message).await;
        }
    }

    async fn overdue(&mut self, mut message: InFlight) {
        let OnItsWay { attempts, message: sending, .. } = &mut message;
        let overdue = attempts.overdue(self.now_ms(), || sending.next_pause_ms());
        if overdue.in_trouble {
            sending.turn = None;
            self.trouble(&sending.last_trouble);
        }
        match overdue.end {
            Some(end) => {
                let why = message.message.last_trouble.clone();
                self.end(message, end, &why);
            }
            None => self.send_or_end(message).await,
        }
    }

    /// The connection was made anew: what was on its way may be lost, and so may the answers.
    async fn send_all_again(&mut self) {
        for message in self.in_flight.take_all() {
            self.send_or_end(message).await;
        }
    }

    fn end(&mut self, message: InFlight, end: End, why: &str) {
        let Sending { turn, message, .. } = message.message;
        // The next lane packs while those who waited for this message are told.
        drop(turn);
        match end {
            End::Stored { sequence, duplicate } => {
                self.recovered();
                if !duplicate {
                    self.log.note_stored(message.entries);
                }
                message.published(sequence, duplicate, &mut self.spares);
            }
            End::Failed(kind) => {
                let text = describe(kind, why);
                debug!(partition = self.partition, ?kind, "{text}");
                let retry_after_s = self.queue.retry_after_s();
                message.failed(&PublishError { kind, message: text, retry_after_s });
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
            verified = timeout(LOOK_TIMEOUT, self.log.verify_all()) => verified,
            Ok(()) = self.closing.changed() => return,
        };
        match verified {
            Ok(Ok(_usage)) => self.recovered(),
            Ok(Err(error)) => self.trouble(&error.to_string()),
            Err(_) => self.trouble("JetStream does not answer"),
        }
    }

    /// Answers everybody who still waits.
    fn finish(&mut self) {
        let unsent = self.queue.empty();
        not_sent(unsent, "the publisher ended before this was sent", 1);
        for message in self.in_flight.take_all() {
            let end = message.attempts.given_up();
            self.end(message, end, "the publisher ended before the log answered");
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Sending {
    fn next_pause_ms(&mut self) -> u64 {
        u64::try_from(self.pause.next_delay().as_millis()).unwrap_or(u64::MAX)
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
