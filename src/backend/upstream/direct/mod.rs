//! Requests to a server without TLS, without a client library between the socket and the stream.
//!
//! hyper reads each connection in a task of its own and hands every piece over by a channel: twice the
//! work that a chunk needs, and buffers for each stream (docs/performance.md has the figures). Here the
//! one who wants a piece reads the socket, into room that all connections of the thread share. TLS,
//! HTTP/2 and proxies are the library's. Start at [`Direct::send`].

mod exchange;
mod idle;

use std::{cell::RefCell, error::Error, io, rc::Rc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::Uri;
use hyper_util::client::{legacy::connect::HttpConnector, proxy::matcher::Matcher};
use reqwest::{
    Request, Url,
    header::{CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tower::ServiceExt;

use super::send::{CROSSING, innermost};
use crate::http1::NotHttp;
pub(super) use exchange::Response;
use exchange::exchange;
use idle::Idle;

/// The most bytes of one read. What is there beyond waits until readers have had these.
const READ: usize = 16 * 1024;
/// How much room for reads is taken at once: small ones follow each other in it.
const ROOM: usize = 4 * READ;
/// How many connections wait for a request at most, for each server and thread.
const MOST_IDLE: usize = 4096;
/// When a silent peer is asked whether it is there, how often, and when it is given up: what reqwest
/// does by itself.
const KEEPALIVE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What goes wrong before or after the head of a response.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectError {
    /// It took longer than `connect`.
    #[error("the connection took too long")]
    ConnectTimeout,
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was closed before all had come.
    #[error("the connection was closed early")]
    Closed,
    /// What came cannot be read.
    #[error(transparent)]
    NotHttp(#[from] NotHttp),
}

/// One server, as one worker thread reaches it.
pub(super) struct Direct {
    shared: Rc<Shared>,
    // Scheme, host and port alone: a query may hold a key, and errors are told.
    place: Uri,
    connector: HttpConnector,
    connect: Duration,
}

/// What responses need after their request.
struct Shared {
    idle: Idle,
    // What is read is cut from it, so that a read costs no allocation of its own.
    room: RefCell<BytesMut>,
}

impl Direct {
    /// Connections to the server of `base`, where nothing but TCP is between: no TLS, no proxy that
    /// the environment names, no password in the URL.
    pub(super) fn new(base: &Url, connect: Duration) -> Option<Self> {
        let is_plain = base.scheme() == "http" && base.username().is_empty();
        if !is_plain || base.password().is_some() {
            return None;
        }
        let host = base.host_str()?;
        let place = match base.port() {
            Some(port) => format!("http://{host}:{port}/"),
            None => format!("http://{host}/"),
        };
        let place = place.parse().ok()?;
        if Matcher::from_env().intercept(&place).is_some() {
            return None;
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
        connector.set_keepalive_retries(Some(PROBES));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(USER_TIMEOUT));
        let shared = Shared {
            idle: Idle::new(MOST_IDLE),
            room: RefCell::default(),
        };
        Some(Self {
            shared: Rc::new(shared),
            place,
            connector,
            connect,
        })
    }

    /// The response's head, on a connection that waits or on a new one. Where the one that waited turns
    /// out to be closed, the request goes out again as `send.rs` says: what tells is here known for sure.
    pub(super) async fn send(&self, request: &Request) -> Result<Response, DirectError> {
        let outgoing = self.outgoing(request);
        if let Some(socket) = self.shared.idle.take() {
            let start = Instant::now();
            match exchange(Rc::clone(&self.shared), socket, outgoing.clone()).await {
                Err((DirectError::Closed | DirectError::Io(_), false))
                    if start.elapsed() < CROSSING =>
                {
                    tracing::debug!("a waiting connection was closed; the request goes out again");
                }
                sent => return sent.map_err(|(error, _)| error),
            }
        }
        let socket = self.connection().await?;
        let sent = exchange(Rc::clone(&self.shared), socket, outgoing).await;
        sent.map_err(|(error, _)| error)
    }

    async fn connection(&self) -> Result<TcpStream, DirectError> {
        let connecting = self.connector.clone().oneshot(self.place.clone());
        match timeout(self.connect, connecting).await {
            Ok(Ok(socket)) => Ok(socket.into_inner()),
            Ok(Err(error)) => Err(not_connected(&error)),
            Err(_) => Err(DirectError::ConnectTimeout),
        }
    }

    /// A request's bytes.
    fn outgoing(&self, request: &Request) -> Bytes {
        let url = request.url();
        let body = request.body().and_then(|body| body.as_bytes());
        let content = body.unwrap_or_default();
        let mut bytes = Vec::with_capacity(512 + content.len());
        let mut line =
            |parts: [&[u8]; 4]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let method = request.method().as_str().as_bytes();
        line([method, b" ", url.path().as_bytes(), b""]);
        if let Some(query) = url.query() {
            line([b"?", query.as_bytes(), b"", b""]);
        }
        line([b" HTTP/1.1\r\n", b"", b"", b""]);
        if let (false, Some(host)) = (request.headers().contains_key(HOST), self.place.authority())
        {
            line([b"host: ", host.as_str().as_bytes(), b"\r\n", b""]);
        }
        // How long the body is, is said by us alone: two words on it would be a request smuggled in.
        let is_framing = |name: &HeaderName| [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
        let headers = request.headers().iter();
        for (name, value) in headers.filter(|(name, _)| !is_framing(name)) {
            line([name.as_ref(), b": ", value.as_bytes(), b"\r\n"]);
        }
        if body.is_some() {
            let length = content.len().to_string();
            line([b"content-length: ", length.as_bytes(), b"\r\n", b""]);
        }
        line([b"\r\n", content, b"", b""]);
        bytes.into()
    }
}

fn not_connected(error: &(dyn Error + 'static)) -> DirectError {
    let cause = innermost(error);
    let io = cause.downcast_ref::<io::Error>();
    match io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        true => DirectError::ConnectTimeout,
        false => DirectError::Connect(cause.to_string()),
    }
}

#[cfg(test)]
mod tests;
