//! The end of a listener: clients are turned away before it is closed, so that it holds nobody when it is.

use std::io;

use tokio::net::{TcpListener, TcpStream};

/// Lets no new connection begin: what asks for one gets no answer now, asks again a second later, and is refused once the
/// listener is closed. Those that have begun are still made. Without this a connection that is made between the last accept and
/// the close would be reset although its client may have sent a request.
///
/// # Errors
/// The system refuses; always where it is not Linux.
pub(super) fn turn_away(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        socket2::SockRef::from(listener).attach_filter(&drop_beginnings())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _unused = listener;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A classic BPF program, whose data begin with the TCP header: segments that carry SYN are dropped, all others pass. See
/// `linux/filter.h` for the numbers.
#[cfg(target_os = "linux")]
fn drop_beginnings() -> [socket2::SockFilter; 4] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    [
        socket2::SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
        socket2::SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        socket2::SockFilter::new(RETURN, 0, 0, 0),
        socket2::SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// The next connection that the system has made already, if there is one. The system itself is asked: the runtime says that
/// nothing waits until it has looked again.
///
/// # Errors
/// The client has gone already.
pub(super) fn next_made(listener: &std::net::TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            // An accepted connection does not inherit that its listener never blocks.
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream).map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
