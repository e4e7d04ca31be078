//! A client's connection, to be broken on purpose.

use std::{io, sync::Arc};

use actix_web::{HttpRequest, rt::net::TcpStream};
use socket2::{SockRef, Socket};

/// The socket under a connection. Only a mock's connections have one.
#[derive(Debug, Clone)]
pub struct Line(Option<Arc<Socket>>);

impl Line {
    /// A second handle on a connection's socket; without one, a cut is as actix makes it.
    pub fn to(connection: &TcpStream) -> Self {
        let socket = SockRef::from(connection).try_clone();
        Self(socket.ok().map(Arc::new))
    }

    /// That of a request's connection.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// The next close is a reset: what was not acknowledged is gone (RFC 1122, 4.2.2.13).
    pub(super) fn reset_at_close(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |socket| {
            socket.set_linger(Some(std::time::Duration::ZERO))
        })
    }
}
