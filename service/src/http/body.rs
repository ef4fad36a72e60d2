//! Reading a request's body with bounds on size and patience.

use std::time::Duration;

use axum::{BoxError, body::Body};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Frame};
use tokio::time::{Instant, timeout};

pub use super::pace::Pace;
use super::watched::WatchedBody;
use crate::problem::{Problem, kinds};

/// An answer's body: there as a whole (left), or from the router (right).
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

/// A request's body: as the connection reads it, or as the router passes it on.
pub struct RequestBody(Either<WatchedBody, Body>);

impl RequestBody {
    /// How long it is, if its head tells.
    pub fn length_bytes(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}

impl From<WatchedBody> for RequestBody {
    fn from(body: WatchedBody) -> Self {
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
    body: Either<WatchedBody, Body>,
    pace: Pace,
    /// In this window.
    waited: Duration,
    waited_in_all: Duration,
    received_bytes: usize,
}

impl BodyReader {
    /// A reader that has read nothing.
    pub fn new(RequestBody(body): RequestBody, pace: Pace) -> Self {
        Self { body, pace, waited: Duration::ZERO, waited_in_all: Duration::ZERO, received_bytes: 0 }
    }

    /// Reads on at another pace.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
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
        let of_window = Duration::from_millis(self.pace.window_ms).saturating_sub(self.waited);
        let of_all = Duration::from_millis(self.pace.whole_ms).saturating_sub(self.waited_in_all);
        let started = Instant::now();
        let frame = timeout(of_window.min(of_all), self.body.frame()).await.map_err(|_| too_slow())?;
        self.waited += started.elapsed();
        self.waited_in_all += started.elapsed();
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
