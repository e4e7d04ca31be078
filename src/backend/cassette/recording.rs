//! A model server whose answers are kept.

use std::{rc::Rc, sync::Arc};

use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Cassettes, Request};
use crate::{
    backend::{Answer, Backend, BackendError, Call, mock::Mock, upstream::Upstream},
    openai::Model,
};

/// Where chat completions are asked for.
pub(in crate::backend) const CHAT_PATH: &str = "/v1/chat/completions";

impl Request {
    /// What a call asks a model server, whichever it is.
    ///
    /// # Errors
    /// [`BackendError::Internal`] for a body that is no JSON, which no call has.
    pub(in crate::backend) fn of_call(call: &Call) -> Result<Self, BackendError> {
        let body = call.request.upstream_body(None, false);
        Self::new(CHAT_PATH, &body).map_err(|error| BackendError::Internal(error.to_string()))
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

    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>> {
        self.upstream.models()
    }
}
