//! Where the server listens, and what is done with each connection.

use std::{
    any::Any,
    net::{TcpListener, ToSocketAddrs},
    time::Duration,
};

use actix_web::{dev::Extensions, rt::net::TcpStream};

use super::{ServeError, Settings};
use crate::api::Line;

pub(super) fn listen(settings: &Settings) -> Result<TcpListener, ServeError> {
    let bind = || {
        let addresses: Vec<_> = (&settings.host[..], settings.port)
            .to_socket_addrs()?
            .collect();
        TcpListener::bind(&addresses[..])
    };
    bind().map_err(|source| ServeError::Bind {
        address: format!("{}:{}", settings.host, settings.port),
        source,
    })
}

/// What is done with every connection that is accepted.
pub(super) fn on_connect(
    write_deadline: Duration,
    is_mock: bool,
) -> impl Fn(&dyn Any, &mut Extensions) {
    move |connection, data| {
        let Some(connection) = connection.downcast_ref::<TcpStream>() else {
            return;
        };
        set_write_deadline(connection, write_deadline);
        if is_mock {
            data.insert(Line::to(connection));
        }
    }
}

/// Cuts off a client that acknowledges nothing for so long. The body cannot do it: once its
/// bytes are queued, nobody polls it.
fn set_write_deadline(connection: &TcpStream, deadline: Duration) {
    let socket = socket2::SockRef::from(connection);
    if let Err(error) = socket.set_tcp_user_timeout(Some(deadline)) {
        tracing::debug!(%error, "no write deadline on this connection");
    }
}
