//! Where tokens come from.
//!
//! A backend answers one call with raw chunks and a few facts about each. It knows nothing
//! of logs, nor which status a client gets. Start at [`Backend`].

mod cache;
pub mod cassette;
mod chunk;
mod error;
mod frame;
mod health;
pub mod mock;
mod router;
mod unary;
pub mod upstream;
mod yaml;

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, future::LocalBoxFuture};
use serde::Deserialize;
use std::{rc::Rc, sync::Arc};

pub use cache::{CacheSettings, Pace, Share};
pub use chunk::Chunk;
pub use error::{BackendError, Refusal};
pub use health::{Attempt, Health, Readiness};
pub use router::{Balance, ModelSettings, OnLoss, Route, Router, Target, is_match};
pub use unary::{Task, UnaryAnswer, UnaryCall};
pub use yaml::LoadError;

use crate::{
    openai::{ChatRequest, Model, Partial},
    wire::Plan,
};

/// A source of completions. One instance serves one worker thread.
pub trait Backend {
    /// Starts an answer. It is cancelled by dropping what this returns.
    fn open(&self, call: Rc<Call>) -> LocalBoxFuture<'_, Result<Answer, BackendError>>;

    /// Answers what needs no log. It is cancelled by dropping what this returns.
    fn reply<'a>(
        &'a self,
        call: &'a UnaryCall,
    ) -> LocalBoxFuture<'a, Result<UnaryAnswer, BackendError>>;

    /// The id and time that this request must have, where the answer is to be the same on
    /// every run.
    fn identity(&self, _request: &ChatRequest, _headers: &Headers) -> Option<Identity> {
        None
    }

    /// The models that it names.
    fn models(&self) -> LocalBoxFuture<'_, Result<Vec<Model>, BackendError>>;

    /// Whether it is asked for models that it does not name as well.
    fn takes_any_name(&self) -> bool;
}

/// Names, in lower case, and values.
pub type Headers = Vec<(String, String)>;

/// One request on its way to a backend.
#[derive(Debug, Clone)]
pub struct Call {
    /// The completion's id, for backends that write their own chunks.
    pub id: String,
    /// The completion's time, in seconds since 1970, likewise.
    pub created: u64,
    /// The request.
    pub request: Rc<ChatRequest>,
    /// Headers of the client's that the backend may see.
    pub headers: Headers,
    /// Who has to know the upstream's key.
    pub credentials: Credentials,
    /// What was said of the answer before, by an upstream that was lost.
    pub partial: Option<Partial>,
}

/// Who has to know the upstream's key, where none is configured.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// We: the client's `Authorization` is for us and stays here.
    Ours,
    /// The client: its `Authorization` goes upstream, if it sent one.
    Clients(Option<String>),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ours => "Ours",
            Self::Clients(_) => "Clients(…)",
        })
    }
}

/// What a request with a fixed answer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The id's bytes.
    pub id: [u8; 16],
    /// Seconds since 1970.
    pub created: u64,
}

/// The start of an answer.
pub struct Answer {
    /// Headers for the client.
    pub headers: Headers,
    /// What follows.
    pub body: Body,
    /// What is done to the reply on its way to the client that asked, and to no other.
    pub plan: Option<Arc<Plan>>,
}

/// The answer itself.
pub enum Body {
    /// Piece by piece.
    Chunks(Chunks),
    /// All at once, as a whole completion.
    Whole(Chunk),
    /// Bytes that are passed on as they are, whatever they are.
    Raw(Frames),
}

/// Raw bytes, piece by piece.
pub type Frames = Pin<Box<dyn Stream<Item = Bytes>>>;

/// An answer's steps. The stream's end without [`Step::Done`] is the upstream's end of file.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Step, BackendError>>>>;

/// One step of a streamed answer.
#[derive(Debug)]
pub enum Step {
    /// A chunk.
    Chunk(Chunk),
    /// The terminating sentinel.
    Done,
}

/// How long each part of an answer may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// From the request to the first chunk of a stream.
    #[serde(with = "humantime_serde")]
    pub first_chunk: Duration,
    /// Between two chunks with content.
    #[serde(with = "humantime_serde")]
    pub between: Duration,
    /// From the last choice's finish to the end of the stream.
    #[serde(with = "humantime_serde")]
    pub after_finish: Duration,
    /// The whole answer.
    #[serde(with = "humantime_serde")]
    pub total: Duration,
}
