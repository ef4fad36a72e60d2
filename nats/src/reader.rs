//! Reading one lane in order.

pub(crate) mod audit;
mod consumer;
mod delivery;

use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::{
    log::LogMessage,
    reading::{Look, Reading, Step},
};
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
    reading: Reading,
    /// From where the times of `reading` count.
    start: Instant,
    connection: watch::Receiver<ConnectionEvents>,
    state: State,
    /// Name of the consumer before, to be removed.
    former: Option<String>,
}

enum State {
    Idle,
    Creating(BoxFuture<'static, Result<Consumer, NatsError>>),
    Reading(Box<Consumer>),
}

/// What to do after looking at a delivery.
enum Next {
    HandOut(LogMessage),
    Continue,
    Recreate(String),
}

impl LaneReader {
    pub(crate) fn new(log: &Log, partition: u16, from: u64, settings: ReaderSettings) -> Self {
        Self {
            log: log.clone(),
            partition,
            reading: Reading::new(from, settings.silence_ms),
            start: Instant::now(),
            settings,
            connection: log.client().events(),
            state: State::Idle,
            former: None,
        }
    }

    /// The lowest sequence that has not been handed out.
    pub fn next_sequence(&self) -> u64 {
        self.reading.next_sequence()
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
        let (log, partition, from, settings) =
            (self.log.clone(), self.partition, self.next_sequence(), self.settings.clone());
        let former = self.former.take();
        Box::pin(async move {
            if let Some(former) = former {
                Consumer::remove(log.client(), log.stream_name(), &former).await;
            }
            Consumer::create(log, partition, from, settings).await
        })
    }

    fn created(&mut self, consumer: Consumer) -> Result<ReadEvent, NatsError> {
        let at = self.next_sequence();
        debug!(partition = self.partition, at, consumer = consumer.name(), "reading the lane");
        self.reading.created(self.now_ms());
        self.state = State::Reading(Box::new(consumer));
        Ok(ReadEvent::Created { at })
    }

    /// Reads until there is a message (`Some`) or the consumer must be made anew (`None`).
    async fn read(&mut self) -> Result<Option<LogMessage>, NatsError> {
        loop {
            let State::Reading(consumer) = &mut self.state else { return Ok(None) };
            while consumer.is_short() {
                if let Err(error) = consumer.ask().await {
                    self.leave(&error.message);
                    return Err(error);
                }
            }
            let next = match consumer.ready() {
                Some(delivery) => self.look(delivery)?,
                None => self.wait().await?,
            };
            match next {
                Next::HandOut(message) => return Ok(Some(message)),
                Next::Continue => {}
                Next::Recreate(why) => {
                    self.leave(&why);
                    return Ok(None);
                }
            }
        }
    }

    /// Nothing is there: waits for a delivery, a change of the connection, or too long.
    async fn wait(&mut self) -> Result<Next, NatsError> {
        let silence = Duration::from_millis(self.settings.silence_ms);
        let State::Reading(consumer) = &mut self.state else { return Ok(Next::Continue) };
        self.reading.heard(ms_between(self.start, consumer.heard));
        let at = |ms| self.start + Duration::from_millis(ms);
        let (silent_at, look_at) = (at(self.reading.silent_at_ms()), at(self.reading.look_at_end_ms()));
        let delivery = tokio::select! {
            biased;
            delivery = consumer.next() => delivery,
            _ = self.connection.changed() => return Ok(Next::Recreate("the connection was made anew".to_owned())),
            () = tokio::time::sleep_until(silent_at) => return self.act(self.reading.silent(self.now_ms())),
            () = tokio::time::sleep_until(look_at) => {
                let looking = tokio::time::timeout(silence, self.look_at_end());
                return looking.await.unwrap_or_else(|_| Ok(Next::Recreate("the server does not answer".to_owned())));
            }
        };
        self.look(delivery)
    }

    fn look(&mut self, delivery: Option<Delivery>) -> Result<Next, NatsError> {
        let State::Reading(consumer) = &mut self.state else { return Ok(Next::Continue) };
        self.reading.heard(ms_between(self.start, consumer.heard));
        match delivery {
            None => Err(NatsError::unavailable("the connection to NATS is closed")),
            Some(Delivery::Heartbeat | Delivery::PullEnded { .. }) => Ok(Next::Continue),
            Some(Delivery::Gone(why)) => Ok(Next::Recreate(why)),
            Some(Delivery::Message { number, message, .. }) => match self.reading.delivered(number, message.sequence) {
                Step::HandOut => Ok(Next::HandOut(message)),
                step => self.act(step),
            },
        }
    }

    /// Nothing came for a while, though the server says that it is there.
    async fn look_at_end(&mut self) -> Result<Next, NatsError> {
        let log_end = self.log.usage().await?.last_sequence;
        let partition_end = match self.reading.log_ends_at(log_end) {
            Look::Refuse(refusal) => return self.act(Step::Refuse(refusal)),
            Look::Enough => None,
            Look::AskPartition => self.log.lane_end(self.partition).await?,
        };
        let partition_end = partition_end.map(|message| message.sequence);
        let step = self.reading.partition_ends_at(log_end, partition_end, self.now_ms());
        self.act(step)
    }

    /// What a step without a message means here.
    fn act(&mut self, step: Step) -> Result<Next, NatsError> {
        match step {
            Step::HandOut | Step::Continue => Ok(Next::Continue),
            Step::Recreate(why) => Ok(Next::Recreate(why.to_string())),
            Step::Refuse(refusal) => {
                self.leave(&refusal.to_string());
                Err(NatsError::refused(refusal))
            }
        }
    }

    /// Gives up the consumer; the next call makes another.
    fn leave(&mut self, why: &str) {
        if let State::Reading(consumer) = std::mem::replace(&mut self.state, State::Idle) {
            info!(partition = self.partition, at = self.next_sequence(), "reading the lane anew: {why}");
            self.former = Some(consumer.name().to_owned());
        }
    }

    fn now_ms(&self) -> u64 {
        ms_between(self.start, Instant::now())
    }
}

fn ms_between(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
}
