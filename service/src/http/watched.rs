//! A request's body that notes when it has been read to its end: a connection whose request was not read is not used for
//! another one, and its answer has to say so.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::activity::Activity;

/// The body of a request as its connection reads it.
pub struct WatchedBody {
    inner: Incoming,
    /// `None` once there is nothing left to read.
    activity: Option<Arc<Activity>>,
}

impl WatchedBody {
    pub(super) fn new(inner: Incoming, activity: &Arc<Activity>) -> Self {
        let is_unread = !inner.is_end_stream();
        activity.has_unread_body.store(is_unread, Relaxed);
        Self { inner, activity: is_unread.then(|| Arc::clone(activity)) }
    }

    fn note_end(&mut self) {
        if let Some(activity) = self.activity.take() {
            activity.has_unread_body.store(false, Relaxed);
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let is_whole = match &frame {
            None => true,
            Some(Ok(_)) => self.inner.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_whole {
            self.note_end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
