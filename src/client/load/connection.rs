//! One connection to the target, for one stream after the other.

use std::{cell::RefCell, future::poll_fn, io, pin::Pin, task::Poll, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{fault::Fault, target::Target};

/// The most bytes of one read.
const READ: usize = 64 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What is read into, by one connection after the other: thousands of streams need one.
#[derive(Debug)]
pub(super) struct Buffer(RefCell<Box<[u8]>>);

impl Default for Buffer {
    fn default() -> Self {
        Self(RefCell::new(vec![0; READ].into()))
    }
}

/// Plain or TLS.
trait Socket: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

/// An open connection.
pub(super) struct Connection {
    socket: Box<dyn Socket>,
    // One timer for all reads: it is moved when it fires, not at every read.
    patience: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    /// Connects; reads will wait for bytes as long as `patience`.
    pub(super) async fn open(target: &Target, patience: Duration) -> Result<Self, Fault> {
        let connect = async {
            let socket = TcpStream::connect((&target.host[..], target.port)).await?;
            socket.set_nodelay(true)?;
            Ok(match &target.tls {
                None => Box::new(socket) as Box<dyn Socket>,
                Some((tls, name)) => Box::new(tls.connect(name.clone(), socket).await?),
            })
        };
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let socket = timeout(CONNECT, connect).await.map_err(late).flatten();
        let last = Instant::now();
        Ok(Self {
            socket: socket.map_err(Fault::Connect)?,
            patience,
            last,
            timer: Box::pin(sleep_until(last + patience)),
        })
    }

    /// Sends a whole request.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<(), Fault> {
        self.last = Instant::now();
        let sent = async {
            self.socket.write_all(request).await?;
            self.socket.flush().await
        };
        let sent = timeout(self.patience, sent).await;
        sent.map_err(|_| Fault::Silent(self.patience))?
            .map_err(Fault::Broken)
    }

    /// What comes next; nothing when the other side has ended the connection.
    pub(super) async fn read(&mut self, buffer: &Buffer) -> Result<Bytes, Fault> {
        poll_fn(|context| {
            let mut buffer = buffer.0.borrow_mut();
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.socket).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) => {
                    self.last = Instant::now();
                    return Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Broken(error))),
                Poll::Pending => {}
            }
            while self.timer.as_mut().poll(context).is_ready() {
                let deadline = self.last + self.patience;
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(Fault::Silent(self.patience)));
                }
                self.timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}
