//! HTTP on each kind of listener. Plain connections are ours beneath actix, so that a stream's chunks can be written
//! past it.

use std::{fmt::Debug, io, net::SocketAddr, time::Duration};

use actix_http::{
    HttpService, Protocol, Request, Response, TlsAcceptorConfig,
    body::{BoxBody, MessageBody},
    error::DispatchError,
};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    Error,
    dev::{AppConfig, Extensions},
    rt::net::{TcpStream, UnixStream},
};

use super::{LAST_WRITES, connection::Listener};
use crate::{
    api::{Line, Socket},
    config::Config,
};

/// Sockets that wait to be accepted.
const BACKLOG: u32 = 2048;
/// How long a connection that is closed may take to read its last bytes.
const LAST_READS: Duration = Duration::from_secs(1);
const NAME: &str = "tokenfall";

/// A server on this listener, run by so many threads. Each calls for an application of its own.
pub(super) fn server<F, I, S, B>(
    config: &Config,
    workers: usize,
    listener: Listener,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let server = Server::build()
        .workers(workers)
        .backlog(BACKLOG)
        .max_concurrent_connections(config.limits.connections)
        .shutdown_timeout(LAST_WRITES.as_secs())
        .disable_signals();
    let http = Http::new(config, server.graceful_shutdown_signal());
    let server = match listener {
        Listener::Tcp(listener) => {
            let has_http2 = config.server.http2;
            server.listen(NAME, listener, move || {
                let http = http.clone();
                let accept = fn_service(move |io: TcpStream| accept(io, has_http2));
                accept.and_then(http.service(app(), Http::socket))
            })
        }
        Listener::Tls(listener, certificate) => {
            let tls = certificate.config().map_err(io::Error::other)?;
            server.listen(NAME, listener, move || {
                let http = http.clone();
                let handshake = TlsAcceptorConfig::default().handshake_timeout(http.head_timeout);
                let service = http.service(app(), Http::tls);
                service.rustls_0_23_with_config(tls.clone(), handshake)
            })
        }
        Listener::Unix(listener) => server.listen_uds(NAME, listener, move || {
            let http = http.clone();
            let accept = fn_service(async |io: UnixStream| {
                Ok::<_, DispatchError>((io, Protocol::Http1, None))
            });
            accept.and_then(http.service(app(), |_, _: &UnixStream, _| {}))
        }),
    };
    Ok(server?.run())
}

/// How connections are served.
#[derive(Clone)]
struct Http {
    head_timeout: Duration,
    keep_alive: Duration,
    write_deadline: Duration,
    // Connections may have to be broken.
    is_mock: bool,
    stopping: GracefulShutdownSignal,
}

impl Http {
    fn new(config: &Config, stopping: GracefulShutdownSignal) -> Self {
        Self {
            head_timeout: config.limits.head_timeout,
            keep_alive: config.limits.keep_alive,
            write_deadline: config.stream.write_deadline,
            is_mock: config.is_all_mock(),
            stopping,
        }
    }

    /// An application on connections of a kind; `begin` is called with each.
    fn service<T, I, S, B>(
        self,
        app: I,
        begin: fn(&Self, &T, &mut Extensions),
    ) -> HttpService<
        T,
        impl ServiceFactory<
            Request,
            Config = (),
            Response = S::Response,
            Error = Response<BoxBody>,
            InitError = S::InitError,
        >,
        B,
    >
    where
        T: 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error> + 'static,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        let stopping = self.stopping.clone();
        let app = app.into_factory().map_err(|error| {
            let error: Error = error.into();
            Response::from(error)
        });
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(self.head_timeout)
            .client_disconnect_timeout(LAST_READS)
            .keep_alive(self.keep_alive)
            // Off, the first chunk of a stream waits for the head's acknowledgement.
            .tcp_nodelay(true)
            // A client's FIN is its leaving.
            .h1_allow_half_closed(false)
            .on_connect_ext(move |io: &T, data: &mut Extensions| begin(&self, io, data))
            .finish(map_config(app, |()| AppConfig::default()))
    }

    fn socket(&self, socket: &Socket, data: &mut Extensions) {
        set_write_deadline(socket.get_ref(), self.write_deadline);
        data.insert(socket.line());
    }

    fn tls(&self, tls: &TlsStream<TcpStream>, data: &mut Extensions) {
        let (connection, _) = tls.get_ref();
        set_write_deadline(connection, self.write_deadline);
        data.insert(Line::beneath_tls(connection, self.is_mock));
    }
}

/// A plain connection, and what it speaks: HTTP/2 where it says so with its first bytes (RFC 9113, 3.4).
async fn accept(
    io: TcpStream,
    has_http2: bool,
) -> Result<(Socket, Protocol, Option<SocketAddr>), DispatchError> {
    // As many as nobody sends in two packets.
    const PREFACE: &[u8] = b"PRI * HTTP/2";
    let mut protocol = Protocol::Http1;
    if has_http2 {
        let mut first = [0; PREFACE.len()];
        io.peek(&mut first).await?;
        if first == PREFACE {
            protocol = Protocol::Http2;
        }
    }
    // What cannot be set is slower, and no reason to refuse.
    let _ = io.set_nodelay(true);
    let peer = io.peer_addr().ok();
    Ok((Socket::new(io), protocol, peer))
}

/// Cuts off a client that acknowledges nothing for so long. The body cannot do it: once its
/// bytes are queued, nobody polls it.
fn set_write_deadline(connection: &TcpStream, deadline: Duration) {
    let socket = socket2::SockRef::from(connection);
    if let Err(error) = socket.set_tcp_user_timeout(Some(deadline)) {
        tracing::debug!(%error, "no write deadline on this connection");
    }
}
