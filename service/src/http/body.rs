//! Reading a request's body with bounds on size and patience.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
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

/// A request's body: as the connection reads it, or as the router passes it on.
pub enum RequestBody {
    /// From the connection.
    Incoming(Incoming),
    /// From the router.
    Routed(Body),
}

impl RequestBody {
    /// How long it is, if its head tells.
    pub fn length_bytes(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

impl From<Body> for RequestBody {
    fn from(body: Body) -> Self {
        Self::Routed(body)
    }
}

impl From<RequestBody> for Body {
    fn from(body: RequestBody) -> Self {
        match body {
            RequestBody::Incoming(body) => Self::new(body),
            RequestBody::Routed(body) => body,
        }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Incoming(body) => Pin::new(body).poll_frame(context).map_err(BoxError::from),
            Self::Routed(body) => Pin::new(body).poll_frame(context).map_err(BoxError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Incoming(body) => body.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Incoming(body) => body.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// An answer's body: there as a whole, or from the router.
pub(super) enum AnswerBody {
    Whole(Full<Bytes>),
    Routed(Body),
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// A body read frame by frame.
pub struct BodyReader {
    body: RequestBody,
    pace: Pace,
    waited: Duration,
    received_bytes: usize,
}

impl BodyReader {
    /// A reader that has read nothing.
    pub fn new(body: RequestBody, pace: Pace) -> Self {
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
