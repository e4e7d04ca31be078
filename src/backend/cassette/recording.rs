//! A model server whose answers are kept.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Cassettes, Request};
use crate::{
    backend::{
        Answer, Backend, BackendError, Call, UnaryAnswer, UnaryCall, mock::Mock, upstream::Upstream,
    },
    openai::{Destination, Model},
};

/// What paths begin with, where a base URL ends.
const VERSION: &str = "/v1";

impl Request {
    /// What a call asks a model server, whichever it is.
    ///
    /// # Errors
    /// [`BackendError::Internal`] for a body that is no JSON, which no call has.
    pub(in crate::backend) fn of_call(call: &Call) -> Result<Self, BackendError> {
        let (path, body) = Self::parts_of(call);
        Self::new(&path, &body).map_err(|error| BackendError::Internal(error.to_string()))
    }

    /// The path and the body of the same, as they are sent.
    pub(in crate::backend) fn parts_of(call: &Call) -> (String, Bytes) {
        let path = format!("{VERSION}{}", call.request.form().path());
        (path, call.request.upstream_body(&Destination::default()))
    }
}

/// An upstream that is asked for what no cassette has, or for everything.
pub struct Recording {
    cassettes: Arc<Cassettes>,
    replaying: Mock,
    upstream: Upstream,
    is_everything_asked: bool,
}

impl Recording {
    /// Replays by the mock what the cassettes have, unless `is_everything_asked`. The upstream
    /// has to be one that records.
    pub fn new(
        cassettes: Arc<Cassettes>,
        (replaying, upstream): (Mock, Upstream),
        is_everything_asked: bool,
    ) -> Self {
        Self {
            cassettes,
            replaying,
            upstream,
            is_everything_asked,
        }
    }

    async fn answer(&self, call: Rc<Call>) -> Result<Answer, BackendError> {
        let is_known =
            !self.is_everything_asked && self.cassettes.find(&Request::of_call(&call)?).is_some();
        match is_known {
            true => self.replaying.open(call).await,
            false => self.upstream.open(call).await,
        }
    }
}

impl Backend for Recording {
    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>> {
        self.answer(call).boxed_local()
    }

    // What is answered in one piece is not kept.
    fn reply<'a>(
        &'a self,
        call: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>> {
        Backend::reply(&self.upstream, call)
    }

    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>> {
        self.upstream.models()
    }

    fn takes_any_name(&self) -> bool {
        self.upstream.takes_any_name()
    }
}
