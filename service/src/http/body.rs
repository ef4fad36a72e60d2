//! Reading a request's body with bounds on size and patience.

use std::time::Duration;

use axum::{BoxError, body::Body};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::{Instant, timeout};

use crate::problem::{Problem, kinds};

/// How slowly a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds of waiting in which at least `min_bytes` must come. Time that the service itself takes between reads
    /// does not count: back pressure is not the client's fault.
    pub window_ms: u64,
    /// Bytes that must come in each window.
    pub min_bytes: usize,
}

impl Default for Pace {
    /// 1 KiB in 30 s.
    fn default() -> Self {
        Self { window_ms: 30_000, min_bytes: 1_024 }
    }
}

/// An answer's body: there as a whole (left), or from the router (right).
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

/// A request's body: as the connection reads it, or as the router passes it on.
pub struct RequestBody(Either<Incoming, Body>);

impl RequestBody {
    /// How long it is, if its head tells.
    pub fn length_bytes(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        Self(Either::Left(body))
    }
}

impl From<Body> for RequestBody {
    fn from(body: Body) -> Self {
        Self(Either::Right(body))
    }
}

impl From<RequestBody> for Body {
    fn from(RequestBody(body): RequestBody) -> Self {
        match body {
            Either::Left(body) => Self::new(body),
            Either::Right(body) => body,
        }
    }
}

/// A body read frame by frame.
pub struct BodyReader {
    body: Either<Incoming, Body>,
    pace: Pace,
    waited: Duration,
    received_bytes: usize,
}

impl BodyReader {
    /// A reader that has read nothing.
    pub fn new(RequestBody(body): RequestBody, pace: Pace) -> Self {
        Self { body, pace, waited: Duration::ZERO, received_bytes: 0 }
    }

    /// The next piece, or `None` at the end. Never empty.
    ///
    /// # Errors
    /// A problem for the caller: the body came too slowly, or broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let Some(piece) = self.frame().await? else { return Ok(None) };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        let frame = match self.body.frame().now_or_never() {
            Some(frame) => frame,
            None => self.late_frame().await?,
        };
        let piece = match frame {
            None => return Ok(None),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Err(Problem::new(kinds::MALFORMED, format!("the body broke off: {error}"))),
        };
        self.received_bytes = self.received_bytes.saturating_add(piece.len());
        if self.received_bytes >= self.pace.min_bytes {
            self.waited = Duration::ZERO;
            self.received_bytes = 0;
        }
        Ok(Some(piece))
    }

    /// One that was not there yet. The clock is looked at only here: most bodies come with their heads.
    async fn late_frame(&mut self) -> Result<Option<Result<Frame<Bytes>, BoxError>>, Problem> {
        let window = Duration::from_millis(self.pace.window_ms);
        let started = Instant::now();
        let frame = timeout(window.saturating_sub(self.waited), self.body.frame()).await.map_err(|_| too_slow())?;
        self.waited += started.elapsed();
        Ok(frame)
    }

    /// Whether the head already said that the body is longer than `limit_bytes`.
    pub fn announces_more_than(&self, limit_bytes: usize) -> bool {
        self.body.size_hint().lower() > u64::try_from(limit_bytes).unwrap_or(u64::MAX)
    }

    /// Reads on and throws away, within `limit_bytes` and `limit_ms`. A client that is refused while it is still sending
    /// would otherwise see its connection reset instead of the answer.
    pub async fn discard(&mut self, limit_bytes: usize, limit_ms: u64) {
        let read = async {
            let mut discarded = 0_usize;
            while let Ok(Some(piece)) = self.next().await {
                discarded = discarded.saturating_add(piece.len());
                if discarded > limit_bytes {
                    break;
                }
            }
        };
        let _ended = timeout(Duration::from_millis(limit_ms), read).await;
    }
}

fn too_slow() -> Problem {
    Problem::new(kinds::BODY_TIMEOUT, "too little of the body came in time; what was not acknowledged is not written")
}
