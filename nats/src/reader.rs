//! Reading one lane in order.

mod consumer;
mod delivery;

use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::log::LogMessage;
use tokio::{sync::watch, time::Instant};
use tracing::{debug, info};

use self::{consumer::Consumer, delivery::Delivery};
use crate::{client::ConnectionEvents, error::NatsError, log::Log};

/// How a lane is read.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// Most bytes asked for and not yet taken by the caller: they wait in memory.
    pub pull_bytes: usize,
    /// Most messages asked for and not yet taken by the caller.
    pub pull_messages: usize,
    /// When the server says nothing for this long, or nothing comes for this long although the lane's end is further, the
    /// consumer is made anew. In milliseconds.
    pub silence_ms: u64,
}

impl Default for ReaderSettings {
    fn default() -> Self {
        Self { pull_bytes: 4 * 1024 * 1024, pull_messages: 16 * 1024, silence_ms: 1_500 }
    }
}

/// What a reader hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadEvent {
    /// A consumer was made (first, or anew after a gap, silence or a lost connection) and reads from sequence `at`. The
    /// caller checks that the log still agrees with what it knows before it takes more.
    Created {
        /// The next wanted sequence.
        at: u64,
    },
    /// The next message of the lane.
    Message(LogMessage),
}

/// An ordered reader of one lane. Everything it asks for, it asks in [`LaneReader::next`].
///
/// It reads through a consumer of its own that nobody acknowledges: the server keeps nothing for it. Deliveries are numbered;
/// a number that is not the next means that something was lost on the way, and the consumer is made anew at the next wanted
/// sequence. So it is when the connection was lost, when the server falls silent, and when nothing comes although the lane
/// goes on.
pub struct LaneReader {
    log: Log,
    partition: u16,
    settings: ReaderSettings,
    next: u64,
    connection: watch::Receiver<ConnectionEvents>,
    state: State,
    /// Name of the consumer before, to be removed.
    former: Option<String>,
}

enum State {
    Idle,
    Creating(BoxFuture<'static, Result<Consumer, NatsError>>),
    Reading(Box<Reading>),
}

struct Reading {
    consumer: Consumer,
    /// When the lane's end is looked at, if nothing comes until then.
    look_at_end: Instant,
    /// The stream's last sequence when it was last looked at: while it stays, the lane has not grown.
    stream_end: u64,
    /// Nothing came although the lane goes on; not yet given up, for it may be on its way.
    suspicious: bool,
}

/// What to do after looking at a delivery.
enum Step {
    HandOut(LogMessage),
    Continue,
    Recreate(String),
}

impl LaneReader {
    pub(crate) fn new(log: &Log, partition: u16, from: u64, settings: ReaderSettings) -> Self {
        Self {
            log: log.clone(),
            partition,
            settings,
            next: from.max(1),
            connection: log.client().events(),
            state: State::Idle,
            former: None,
        }
    }

    /// The lowest sequence that has not been handed out.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The next event. Cancel safe.
    ///
    /// # Errors
    /// Anything but `Refused` is transient: wait a little and call again, the consumer is made anew.
    pub async fn next(&mut self) -> Result<ReadEvent, NatsError> {
        loop {
            match &mut self.state {
                State::Idle => self.state = State::Creating(self.creation()),
                State::Creating(creation) => {
                    let made = creation.await;
                    self.state = State::Idle;
                    return self.created(made?);
                }
                State::Reading(_) => {
                    if let Some(message) = self.read().await? {
                        return Ok(ReadEvent::Message(message));
                    }
                }
            }
        }
    }

    fn creation(&mut self) -> BoxFuture<'static, Result<Consumer, NatsError>> {
        // What happens to the connection from here on concerns the new consumer.
        self.connection.mark_unchanged();
        let (log, partition, from, settings) = (self.log.clone(), self.partition, self.next, self.settings.clone());
        let former = self.former.take();
        Box::pin(async move {
            if let Some(former) = former {
                Consumer::remove(log.client(), log.stream_name(), &former).await;
            }
            Consumer::create(log, partition, from, settings).await
        })
    }

    fn created(&mut self, consumer: Consumer) -> Result<ReadEvent, NatsError> {
        debug!(partition = self.partition, at = self.next, consumer = consumer.name(), "reading the lane");
        self.state = State::Reading(Box::new(Reading {
            consumer,
            look_at_end: Instant::now() + self.silence(),
            stream_end: 0,
            suspicious: false,
        }));
        Ok(ReadEvent::Created { at: self.next })
    }

    /// Reads until there is a message (`Some`) or the consumer must be made anew (`None`).
    async fn read(&mut self) -> Result<Option<LogMessage>, NatsError> {
        loop {
            let State::Reading(reading) = &mut self.state else { return Ok(None) };
            while reading.consumer.is_short() {
                if let Err(error) = reading.consumer.ask().await {
                    self.leave(&error.message);
                    return Err(error);
                }
            }
            let step = match reading.consumer.ready() {
                Some(delivery) => self.look(delivery)?,
                None => self.wait().await?,
            };
            match step {
                Step::HandOut(message) => return Ok(Some(message)),
                Step::Continue => {}
                Step::Recreate(why) => {
                    self.leave(&why);
                    return Ok(None);
                }
            }
        }
    }

    /// Nothing is there: waits for a delivery, a change of the connection, or too long.
    async fn wait(&mut self) -> Result<Step, NatsError> {
        let silence = self.silence();
        let State::Reading(reading) = &mut self.state else { return Ok(Step::Continue) };
        let too_silent = reading.consumer.heard + silence;
        let delivery = tokio::select! {
            biased;
            delivery = reading.consumer.next() => delivery,
            _ = self.connection.changed() => return Ok(Step::Recreate("the connection was made anew".to_owned())),
            () = tokio::time::sleep_until(too_silent) => return Ok(Step::Recreate("the server is silent".to_owned())),
            () = tokio::time::sleep_until(reading.look_at_end) => {
                let looking = tokio::time::timeout(silence, self.look_at_end());
                return looking.await.unwrap_or_else(|_| Ok(Step::Recreate("the server does not answer".to_owned())));
            }
        };
        self.look(delivery)
    }

    fn look(&mut self, delivery: Option<Delivery>) -> Result<Step, NatsError> {
        let silence = self.silence();
        let State::Reading(reading) = &mut self.state else { return Ok(Step::Continue) };
        match delivery {
            None => Err(NatsError::unavailable("the connection to NATS is closed")),
            Some(Delivery::Heartbeat | Delivery::PullEnded { .. }) => Ok(Step::Continue),
            Some(Delivery::Gone(why)) => Ok(Step::Recreate(why)),
            Some(Delivery::Message { number, message, .. }) => {
                if number != reading.consumer.delivered + 1 {
                    let why = format!("delivery {number} follows {}", reading.consumer.delivered);
                    return Ok(Step::Recreate(why));
                }
                reading.consumer.delivered = number;
                reading.look_at_end = reading.consumer.heard + silence;
                reading.suspicious = false;
                self.hand_out(message).map(Step::HandOut)
            }
        }
    }

    fn hand_out(&mut self, message: LogMessage) -> Result<LogMessage, NatsError> {
        if message.sequence < self.next {
            self.leave("the log goes back");
            return Err(NatsError::refused(format!(
                "the log hands out sequence {} again, {} was to come: it lost its tail, or is another one",
                message.sequence, self.next
            )));
        }
        self.next = message.sequence + 1;
        Ok(message)
    }

    /// Nothing came for a while, though the server says that it is there: is there really nothing?
    async fn look_at_end(&mut self) -> Result<Step, NatsError> {
        let stream_end = self.log.usage().await?.last_sequence;
        if stream_end + 1 < self.next {
            self.leave("the log ends before what was read");
            return Err(NatsError::refused(format!(
                "the log ends at sequence {stream_end} and {} was read before: it lost its tail, or is another one",
                self.next - 1
            )));
        }
        let silence = self.silence();
        let known = |state: &State| matches!(state, State::Reading(reading) if reading.stream_end == stream_end);
        let lane_end =
            if known(&self.state) && !self.is_suspicious() { None } else { self.log.lane_end(self.partition).await? };
        let behind = lane_end.is_some_and(|end| end.sequence >= self.next);
        let State::Reading(reading) = &mut self.state else { return Ok(Step::Continue) };
        if behind && reading.suspicious {
            return Ok(Step::Recreate("nothing comes although the lane goes on".to_owned()));
        }
        reading.stream_end = stream_end;
        reading.suspicious = behind;
        // What is behind is most likely on its way: half the time will do for the second look.
        reading.look_at_end = Instant::now() + if behind { silence / 2 } else { silence };
        Ok(Step::Continue)
    }

    fn is_suspicious(&self) -> bool {
        matches!(&self.state, State::Reading(reading) if reading.suspicious)
    }

    /// Gives up the consumer; the next call makes another.
    fn leave(&mut self, why: &str) {
        if let State::Reading(reading) = std::mem::replace(&mut self.state, State::Idle) {
            info!(partition = self.partition, at = self.next, "reading the lane anew: {why}");
            self.former = Some(reading.consumer.name().to_owned());
        }
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.settings.silence_ms)
    }
}
