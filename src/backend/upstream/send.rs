//! One request on its way, and once more where its connection had been closed before it came.
//!
//! A server that closes an idle connection may do so while a request is under way on it. Nothing
//! tells that apart from a server which took the request and died, but this: the connection was not
//! opened for the request, not one head came back, and the close came at once. Only then the
//! request goes out again, on a connection of its own, once.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{Request, StatusCode, Url, header::HeaderMap};

use super::{
    UpstreamSettingsError,
    direct::{self, Direct, DirectError},
    library::Library,
};
use crate::cause::innermost;

/// How long after a request its connection may be found closed for it to go out again: a few round
/// trips around the world. Who closes later has had the time to work at it.
pub(super) const CROSSING: Duration = Duration::from_millis(500);

/// How one server is reached, from one worker thread.
pub(super) enum Transport {
    /// Nothing but TCP is between.
    Direct(Direct),
    /// TLS, HTTP/2, a proxy.
    Library(Library),
}

impl Transport {
    pub(super) fn new(base: &Url, connect: Duration) -> Result<Self, UpstreamSettingsError> {
        Ok(match Direct::new(base, connect) {
            Some(direct) => Self::Direct(direct),
            None => Self::Library(Library::new(connect)?),
        })
    }

    /// The head of the reply.
    pub(super) async fn send(&self, request: Request) -> Result<Response, SendError> {
        Ok(match self {
            Self::Direct(direct) => Response::Direct(Box::new(direct.send(&request).await?)),
            Self::Library(library) => Response::Library(Box::new(library.send(request).await?)),
        })
    }
}

/// A reply whose head has come.
pub(super) enum Response {
    /// On a connection of our own.
    Direct(Box<direct::Response>),
    /// On one of the library's.
    Library(Box<reqwest::Response>),
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
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, SendError>> {
        match self {
            Self::Direct(response) => response.poll_chunk(cx).map_err(SendError::Direct),
            // Its future has nothing of its own: what has come stays in the response.
            Self::Library(response) => pin!(response.chunk()).poll(cx).map_err(SendError::Library),
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

    /// What clients are told of it. The outer causes name our upstream's address, which they need not know.
    pub(super) fn cause(&self) -> String {
        innermost(self).to_string()
    }
}
