//! One request and its response on one connection.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes};
use tokio::{io::AsyncWrite, net::TcpStream, task::yield_now};
use tokio_util::io::poll_read_buf;

use super::{DirectError, READ, ROOM, Shared};
use crate::http1::{Head, Reply};

/// A response whose head has come.
pub(in super::super) struct Response {
    head: Box<Head>,
    reply: Reply,
    // Until the body has ended: then others have it, or nobody.
    socket: Option<TcpStream>,
    shared: Rc<Shared>,
    // All of the request has gone out.
    is_sent: bool,
    // The last read took all that fitted: there may be more already.
    was_full: bool,
}

/// Sends a request and reads the response's head; of an error it is told whether anything of a response
/// had come. A server may answer before it has read all.
pub(super) async fn exchange(
    shared: Rc<Shared>,
    mut socket: TcpStream,
    mut outgoing: Bytes,
) -> Result<Response, (DirectError, bool)> {
    let mut reply = Reply::new();
    let mut was_full = false;
    let head = poll_fn(|cx| {
        // What cannot be written any more may have been answered all the same.
        let _ = write(&mut socket, cx, &mut outgoing);
        loop {
            let read = ready!(read(&mut socket, cx, &shared, &mut was_full))?;
            if read.is_empty() {
                return Poll::Ready(Err(DirectError::Closed));
            }
            reply.push(read);
            if let Some(head) = reply.begin()? {
                return Poll::Ready(Ok(head));
            }
        }
    });
    match head.await {
        Ok(head) => Ok(Response {
            head,
            reply,
            socket: Some(socket),
            shared,
            is_sent: outgoing.is_empty(),
            was_full,
        }),
        Err(error) => Err((error, reply.has_begun())),
    }
}

impl Response {
    pub(in super::super) fn head(&self) -> &Head {
        &self.head
    }

    /// What is read next of the body; nothing at its end.
    ///
    /// # Errors
    /// The connection broke, or the body's framing.
    pub(in super::super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, DirectError>> {
        loop {
            if let Some(piece) = self.reply.piece()? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.reply.has_ended() {
                self.give_back();
                return Poll::Ready(Ok(None));
            }
            // Before more is read, who reads the log may have what there is.
            if std::mem::take(&mut self.was_full) {
                ready!(pin!(yield_now()).poll(cx));
            }
            let Some(socket) = &mut self.socket else {
                return Poll::Ready(Err(DirectError::Closed));
            };
            let read = ready!(read(socket, cx, &self.shared, &mut self.was_full))?;
            if read.is_empty() {
                self.reply.close();
                self.socket = None;
            } else {
                self.reply.push(read);
            }
        }
    }

    /// The next request may have the connection.
    fn give_back(&mut self) {
        if let Some(socket) = self.socket.take()
            && self.is_sent
            && self.reply.leaves_open()
        {
            self.shared.idle.put(socket);
        }
    }
}

/// Writes as much as the socket takes.
fn write(socket: &mut TcpStream, cx: &mut Context<'_>, outgoing: &mut Bytes) -> io::Result<()> {
    while !outgoing.is_empty() {
        match Pin::new(&mut *socket).poll_write(cx, outgoing) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) => outgoing.advance(written),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(())
}

/// What the socket has; nothing at its end.
fn read(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    shared: &Shared,
    was_full: &mut bool,
) -> Poll<io::Result<Bytes>> {
    let mut room = shared.room.borrow_mut();
    if room.capacity() < READ {
        // The same memory again, where nothing of what was read is held any more.
        room.reserve(ROOM);
    }
    let mut next = (&mut *room).limit(READ);
    let count = ready!(poll_read_buf(Pin::new(socket), cx, &mut next))?;
    *was_full = count == READ;
    Poll::Ready(Ok(room.split().freeze()))
}
