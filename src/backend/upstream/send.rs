//! One request on its way, and once more where its connection had been closed before it came.
//!
//! A server that closes an idle connection may do so while a request is under way on it. Nothing
//! tells that apart from a server which took the request and died, but this: the connection was not
//! opened for the request, not one head came back, and the close came at once. Only then the
//! request goes out again, on a connection of its own, once. What hyper knows not to have been
//! written at all it sends again by itself.

use std::{cell::Cell, error::Error, io, time::Duration};

use reqwest::{Client, RequestBuilder, Response};
use tokio::{task_local, time::Instant};

/// How long after a request its connection may be found closed for it to go out again: a few round
/// trips around the world. Who closes later has had the time to work at it.
const CROSSING: Duration = Duration::from_millis(500);

task_local! {
    // hyper says nowhere whether a failed request was the first on its connection. Connections are
    // opened within the task of the request that needs them, so that this is of one request.
    static HAS_OPENED: Cell<bool>;
}

/// Takes note that a connection is opened; for the connector, through which `destination` passes.
pub(super) fn opening<T>(destination: T) -> T {
    // Nobody asks outside of `send`.
    let _ = HAS_OPENED.try_with(|has_opened| has_opened.set(true));
    destination
}

/// The head of the reply. `unpooled` makes the client whose connections have served nobody yet.
pub(super) async fn send(
    request: RequestBuilder,
    unpooled: impl FnOnce() -> Option<Client>,
) -> Result<Response, reqwest::Error> {
    let (client, request) = request.build_split();
    let request = request?;
    let again = request.try_clone();
    let start = Instant::now();
    let sending = async { (client.execute(request).await, HAS_OPENED.with(Cell::get)) };
    let (sent, has_opened) = HAS_OPENED.scope(Cell::new(false), sending).await;
    let error = match sent {
        Err(error) if !has_opened && start.elapsed() < CROSSING && is_closed(&error) => error,
        sent @ (Ok(_) | Err(_)) => return sent,
    };
    let (Some(again), Some(client)) = (again, unpooled()) else {
        return Err(error);
    };
    tracing::debug!(%error, "a waiting connection was closed; the request goes out again");
    client.execute(again).await
}

/// The connection was closed or reset. A head that broke off cannot be told from none.
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
