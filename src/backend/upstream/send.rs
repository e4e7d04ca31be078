//! One request on its way, and once more where its connection had been closed before it came.
//!
//! A server that closes an idle connection may do so while a request is under way on it. Nothing
//! tells that apart from a server which took the request and died, but this: the connection was not
//! opened for the request, not one head came back, and the close came at once. Only then the
//! request goes out again, on a connection of its own, once. What hyper knows not to have been
//! written at all it sends again by itself.

use std::{cell::Cell, error::Error, io, time::Duration};

use bytes::Bytes;
use reqwest::{Client, Request, RequestBuilder, StatusCode, header::HeaderMap};
use tokio::{task_local, time::Instant};

use super::direct::{self, Direct, DirectError};

/// How long after a request its connection may be found closed for it to go out again: a few round
/// trips around the world. Who closes later has had the time to work at it.
pub(super) const CROSSING: Duration = Duration::from_millis(500);

task_local! {
    // hyper says nowhere whether a failed request was the first on its connection. Connections are
    // opened within the task of the request that needs them, so that this is of one request.
    static HAS_OPENED: Cell<bool>;
}

/// A reply whose head has come.
pub(super) enum Response {
    /// On a connection of our own.
    Direct(Box<direct::Response>),
    /// On one of the library's.
    Library(reqwest::Response),
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Direct(response) => response.head().status,
            Self::Library(response) => response.status(),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Direct(response) => &response.head().headers,
            Self::Library(response) => response.headers(),
        }
    }

    /// What is read next of the body; nothing at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        match self {
            Self::Direct(response) => Ok(response.chunk().await?),
            Self::Library(response) => Ok(response.chunk().await?),
        }
    }
}

/// Why there is no reply, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Direct(#[from] DirectError),
    #[error(transparent)]
    Library(#[from] reqwest::Error),
}

impl SendError {
    /// The connection took longer than it may.
    pub(super) fn is_connect_timeout(&self) -> bool {
        match self {
            Self::Direct(error) => matches!(error, DirectError::ConnectTimeout),
            Self::Library(error) => error.is_connect() && error.is_timeout(),
        }
    }

    /// The innermost cause. The outer ones name our upstream's address, which clients need not know.
    pub(super) fn cause(&self) -> String {
        let mut cause: &dyn Error = self;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    }
}

/// The head of the reply, by way of `direct` where the server is reached so.
pub(super) async fn send(
    request: RequestBuilder,
    direct: Option<&Direct>,
    unpooled: impl FnOnce() -> Option<Client>,
) -> Result<Response, SendError> {
    let (client, request) = request.build_split();
    let request = request?;
    match direct {
        Some(direct) => {
            let sent = direct.send(&request).await?;
            Ok(Response::Direct(Box::new(sent)))
        }
        None => {
            let sent = by_library(&client, request, unpooled);
            Ok(Response::Library(sent.await?))
        }
    }
}

/// Takes note that a connection is opened; for the connector, through which `destination` passes.
pub(super) fn opening<T>(destination: T) -> T {
    // Nobody asks outside of `send`.
    let _ = HAS_OPENED.try_with(|has_opened| has_opened.set(true));
    destination
}

/// `unpooled` makes the client whose connections have served nobody yet.
async fn by_library(
    client: &Client,
    request: Request,
    unpooled: impl FnOnce() -> Option<Client>,
) -> Result<reqwest::Response, reqwest::Error> {
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
