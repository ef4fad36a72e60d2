//! One connection: its requests, its watch, and how it ends.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError,
    http::{HeaderValue, Request, Response, header},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    HttpLimits, Routes, ShortWay, Stop,
    activity::{Activity, InFlight, Watch},
    body::AnswerBody,
    stream::CountedStream,
    watched::WatchedBody,
};

/// How long a connection must be silent, once the service stops, before it is closed: a client that has just been
/// answered may be sending its next request, and that one is still answered, with `Connection: close`.
const LINGER: Duration = Duration::from_millis(200);

/// The most that is read from a connection at once: a few hundred launches of a bulk a system call, and 1 GiB when every
/// connection of the default bound sends a bulk.
const READ_BUFFER_BYTES: usize = 64 * 1024;

pub(super) async fn serve<S: ShortWay>(
    stream: TcpStream,
    activity: Arc<Activity>,
    routes: Arc<Routes<S>>,
    limits: Arc<HttpLimits>,
    stop: Stop,
) {
    let service = service_fn(|request| answer(&routes, request, &activity, &stop.is_draining));
    let stream = TokioIo::new(CountedStream::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(builder(&limits).serve_connection(stream, service));
    let mut news = FuturesUnordered::from_iter([news(&activity, &limits, &stop)]);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        news = news.next() => match news {
            Some(News::Quiet) => {
                connection.as_mut().graceful_shutdown();
                if !activity.is_busy() {
                    return;
                }
                tokio::select! {
                    ended = connection.as_mut() => Some(ended),
                    () = watch(&activity, &limits) => None,
                    () = stop.cut.cancelled() => None,
                }
            }
            _ => None,
        },
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// What a connection hears of from outside.
enum News {
    /// It is to end at once: the client stands still, or the stop's deadline is over.
    End,
    /// The service stops, or another connection needs the place, and it is a moment to.
    Quiet,
}

/// Timers and tokens of the stop, apart from the connection's own future: polled only when one of them has something to say
/// (which is what `FuturesUnordered` is for here), not with every packet. A token's poll locks what all connections share.
async fn news(activity: &Activity, limits: &HttpLimits, stop: &Stop) -> News {
    tokio::select! {
        () = watch(activity, limits) => News::End,
        () = stop.cut.cancelled() => News::End,
        () = quiet_after(&stop.draining, activity) => News::Quiet,
        () = activity.asked_to_make_room() => News::Quiet,
    }
}

/// The server's own timeouts are not used: they cost a timer each request, and know no difference between a client that
/// is idle and one that sends half a head. Nor does it look for the end of a client whose answer is being made: for that it
/// takes a new buffer with every request, as the old one still holds the request's head. [`CountedStream`] looks instead.
fn builder(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(READ_BUFFER_BYTES))
        .half_close(true);
    builder
}

async fn answer<S: ShortWay>(
    routes: &Routes<S>,
    request: Request<Incoming>,
    activity: &Arc<Activity>,
    is_draining: &AtomicBool,
) -> Result<Response<Answer>, Infallible> {
    let in_flight = activity.begin();
    let mut answer = routes.answer(request.map(|body| WatchedBody::new(body, activity))).await;
    // The rest of a body cannot be told from the next request: the connection is not read any further.
    let is_last = is_draining.load(Acquire) || activity.has_unread_body.load(Relaxed);
    if is_last {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer.map(|body| Answer { body, _in_flight: in_flight }))
}

/// Ends when the client has stood still for too long.
async fn watch(activity: &Activity, limits: &HttpLimits) {
    let mut watch = Watch::new(Instant::now());
    let tick = Watch::tick(limits);
    loop {
        sleep(tick).await;
        if let Some(cut) = watch.look(activity, limits, Instant::now()) {
            tracing::debug!(?cut, "the client stands still");
            return;
        }
    }
}

/// Ends when the service stops and either a request is in flight, or none came for a moment.
async fn quiet_after(draining: &CancellationToken, activity: &Activity) {
    draining.cancelled().await;
    if !activity.is_busy() {
        sleep(LINGER).await;
    }
}

/// The body of an answer; while it lives, the connection is busy.
struct Answer {
    body: AnswerBody,
    _in_flight: InFlight,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
