//! A client's connection, as we have it beneath actix: written past it, and broken on purpose.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use actix_web::{HttpRequest, http::Version, rt::net::TcpStream};
use rustix::net::{SendFlags, send};
use socket2::{SockRef, Socket as Duplicate};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// A plain connection, which actix reads and writes.
#[derive(Debug)]
pub struct Socket {
    read: OwnedReadHalf,
    write: Arc<WriteEnd>,
}

#[derive(Debug)]
struct WriteEnd {
    // Taken when the last handle goes.
    half: Option<OwnedWriteHalf>,
    // Bytes wait to be written by actix.
    has_waiting: AtomicBool,
    // The body waits until they are.
    is_awaited: AtomicBool,
}

/// A handle on the socket under a request's connection.
#[derive(Debug, Clone)]
pub struct Line(Beneath);

#[derive(Debug, Clone)]
enum Beneath {
    Plain(Arc<WriteEnd>),
    // TLS, whose bytes are not ours to write. The socket again, where it may have to be broken.
    Tls(Option<Arc<Duplicate>>),
}

/// A handle that writes to the connection past actix, while actix has nothing to write there.
#[derive(Debug, Clone)]
pub(super) struct Bypass(Arc<WriteEnd>);

impl Socket {
    /// A connection that was accepted.
    pub fn new(connection: TcpStream) -> Self {
        let (read, write) = connection.into_split();
        Self {
            read,
            write: Arc::new(WriteEnd {
                half: Some(write),
                has_waiting: AtomicBool::new(false),
                is_awaited: AtomicBool::new(false),
            }),
        }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &TcpStream {
        self.read.as_ref()
    }

    /// A handle on it.
    pub fn line(&self) -> Line {
        Line(Beneath::Plain(Arc::clone(&self.write)))
    }
}

impl Line {
    /// A handle on the connection beneath TLS. Where it cannot be broken, a cut is as actix makes it.
    pub fn beneath_tls(connection: &TcpStream, can_break: bool) -> Self {
        let duplicate = || SockRef::from(connection).try_clone().ok().map(Arc::new);
        Self(Beneath::Tls(can_break.then(duplicate).flatten()))
    }

    /// That of a request's connection.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// The next close is a reset: what was not acknowledged is gone (RFC 1122, 4.2.2.13).
    pub(super) fn reset_at_close(&self) -> io::Result<()> {
        const AT_ONCE: Option<std::time::Duration> = Some(std::time::Duration::ZERO);
        match &self.0 {
            Beneath::Plain(end) => end.half().map_or(Ok(()), |half| {
                SockRef::from(half.as_ref()).set_linger(AT_ONCE)
            }),
            Beneath::Tls(Some(duplicate)) => duplicate.set_linger(AT_ONCE),
            Beneath::Tls(None) => Ok(()),
        }
    }

    /// What passes is encrypted.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.0, Beneath::Tls(_))
    }
}

impl Bypass {
    /// That of a request whose reply is sent in transfer chunks, as they are written here.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        match request.conn_data::<Line>() {
            Some(Line(Beneath::Plain(end))) if request.version() == Version::HTTP_11 => {
                Some(Self(Arc::clone(end)))
            }
            Some(_) | None => None,
        }
    }

    /// That of a connection without a request.
    #[cfg(test)]
    pub(super) fn to(socket: &Socket) -> Self {
        Self(Arc::clone(&socket.write))
    }

    /// Actix is given bytes to write.
    pub(super) fn give(&self) {
        self.0.has_waiting.store(true, Ordering::Release);
    }

    /// Actix has written all that it was given.
    pub(super) fn is_free(&self) -> bool {
        !self.0.has_waiting.load(Ordering::Acquire)
    }

    /// The same; where it has not, the connection's task is woken once it has.
    pub(super) fn awaits_free(&self) -> bool {
        let is_free = self.is_free();
        self.0.is_awaited.store(!is_free, Ordering::Relaxed);
        is_free
    }

    /// How much of `bytes` the socket took; what it did not is the caller's to write before all else.
    pub(super) fn try_write(&self, bytes: &[u8]) -> usize {
        // A connection that is broken says so at the next write. What tokio knows of the socket is not asked for: a
        // socket that takes nothing says so itself.
        let sent = self
            .0
            .half()
            .map(|half| send(half.as_ref(), bytes, SendFlags::empty()));
        sent.and_then(Result::ok).unwrap_or(0)
    }

    /// The same; waits where it takes nothing. What the connection's task writes in the same turn may go with them,
    /// if `has_more`.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        has_more: bool,
    ) -> Poll<io::Result<usize>> {
        let flags = match has_more {
            true => SendFlags::MORE,
            false => SendFlags::empty(),
        };
        self.0.poll_write(cx, |half| {
            let socket = half.as_ref();
            socket.try_io(Interest::WRITABLE, || Ok(send(socket, bytes, flags)?))
        })
    }
}

impl WriteEnd {
    fn half(&self) -> Option<&OwnedWriteHalf> {
        self.half.as_ref()
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let half = self.half().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            ready!(half.as_ref().poll_write_ready(cx))?;
            match write(half) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        // Its own drop would send a FIN, also where a reset is planned.
        if let Some(half) = self.half.take() {
            half.forget();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write.poll_write(cx, |half| half.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write
            .poll_write(cx, |half| half.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Actix flushes once everything it had was taken.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.has_waiting.store(false, Ordering::Release);
        if self.write.is_awaited.swap(false, Ordering::Relaxed) {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = SockRef::from(self.get_ref());
        Poll::Ready(match connection.shutdown(std::net::Shutdown::Write) {
            // Whom nobody hears need not be told.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}
