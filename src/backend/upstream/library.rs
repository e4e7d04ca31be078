//! Requests by way of reqwest, and once more where their connection had been closed before they came.
//!
//! hyper says nowhere whether a failed request was the first on its connection, so that is taken note
//! of here. What hyper knows not to have been written at all it sends again by itself, and a head that
//! broke off cannot be told from none.

use std::{
    cell::{Cell, OnceCell},
    error::Error,
    io,
    time::Duration,
};

use reqwest::{Client, Request};
use tokio::{task_local, time::Instant};

use super::{UpstreamSettingsError, send::CROSSING, settings::client};

task_local! {
    // Connections are opened within the task of the request that needs them, so that this is of one
    // request.
    static HAS_OPENED: Cell<bool>;
}

/// The library's clients for one server.
pub(super) struct Library {
    client: Client,
    // Whose connections have served nobody yet; made when it is needed.
    unpooled: OnceCell<Client>,
    connect: Duration,
}

impl Library {
    pub(super) fn new(connect: Duration) -> Result<Self, UpstreamSettingsError> {
        Ok(Self {
            client: client(connect, usize::MAX)?,
            unpooled: OnceCell::new(),
            connect,
        })
    }

    /// The head of the reply.
    pub(super) async fn send(&self, request: Request) -> Result<reqwest::Response, reqwest::Error> {
        let again = request.try_clone();
        let start = Instant::now();
        let sending = async {
            (
                self.client.execute(request).await,
                HAS_OPENED.with(Cell::get),
            )
        };
        let (sent, has_opened) = HAS_OPENED.scope(Cell::new(false), sending).await;
        let error = match sent {
            Err(error) if !has_opened && start.elapsed() < CROSSING && is_closed(&error) => error,
            sent @ (Ok(_) | Err(_)) => return sent,
        };
        let (Some(again), Some(client)) = (again, self.unpooled()) else {
            return Err(error);
        };
        tracing::debug!(%error, "a waiting connection was closed; the request goes out again");
        client.execute(again).await
    }

    fn unpooled(&self) -> Option<&Client> {
        if self.unpooled.get().is_none() {
            // Another may have made it meanwhile.
            let _ = self.unpooled.set(client(self.connect, 0).ok()?);
        }
        self.unpooled.get()
    }
}

/// Takes note that a connection is opened; for the connector, through which `destination` passes.
pub(super) fn opening<T>(destination: T) -> T {
    // Nobody asks outside of `send`.
    let _ = HAS_OPENED.try_with(|has_opened| has_opened.set(true));
    destination
}

/// The connection was closed or reset.
fn is_closed(error: &reqwest::Error) -> bool {
    const KINDS: [io::ErrorKind; 4] = [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        // TLS without its own goodbye.
        io::ErrorKind::UnexpectedEof,
    ];
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        let http = error.downcast_ref::<hyper::Error>();
        let io = error.downcast_ref::<io::Error>();
        if http.is_some_and(hyper::Error::is_incomplete_message)
            || io.is_some_and(|error| KINDS.contains(&error.kind()))
        {
            return true;
        }
        cause = error.source();
    }
    false
}
