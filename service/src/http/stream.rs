//! A TCP stream that counts what passes, notices a client who goes away while its answer is made, and closes in a way that
//! lets the client read the last answer: a socket closed with bytes unread is reset, and a reset takes the answer away from a
//! client that is still sending.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::activity::Activity;

/// After the last answer, how long and how much is read and thrown away until the client closes, too.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// How long an answer may still take for a client whose side has ended. Most of them are gone, but one that says so (`nc -N`) ends its
/// side after its last request and reads on, and nothing but writing to it tells the two apart.
const HALF_CLOSED: Duration = Duration::from_secs(2);

pub(super) struct CountedStream {
    inner: TcpStream,
    activity: Arc<Activity>,
    /// Bytes were seen that nobody has read yet: there is a client.
    has_unread: bool,
    /// The client's side has ended: until when its next answer may come.
    half_closed: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

struct Linger {
    end: Pin<Box<Sleep>>,
    discarded: usize,
}

impl CountedStream {
    pub(super) fn new(inner: TcpStream, activity: Arc<Activity>) -> Self {
        Self { inner, activity, has_unread: false, half_closed: None, linger: None }
    }

    fn note_write(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            self.half_closed = None;
            self.activity.bytes_written.fetch_add(u64::try_from(*count).unwrap_or(u64::MAX), Relaxed);
        }
        self.activity.write_blocked.store(written.is_pending(), Relaxed);
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.has_unread = false;
        let count = buffer.filled().len() - before;
        self.activity.bytes_read.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        read
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// The connection flushes whenever it has looked at everything else.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_answering() {
            self.look_for_the_client(cx)?;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        self.poll_linger(cx).map(Ok)
    }
}

impl CountedStream {
    /// While an answer is made nobody reads, and a client who goes away would wait to be noticed until it is written to. Looking
    /// leaves the bytes where they are and needs no buffer; most looks are no call of the system.
    fn look_for_the_client(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.has_unread {
            return Ok(());
        }
        match self.inner.poll_peek(cx, &mut ReadBuf::new(&mut [0])) {
            Poll::Ready(Ok(0)) => self.wait_half_closed(cx),
            Poll::Ready(Ok(_)) => {
                self.has_unread = true;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }

    fn wait_half_closed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let end = self.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED)));
        match end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger { end: Box::pin(sleep(LINGER)), discarded: 0 });
        if linger.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; 8 * 1024];
        while linger.discarded < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            linger.discarded += buffer.filled().len();
        }
        Poll::Ready(())
    }
}
