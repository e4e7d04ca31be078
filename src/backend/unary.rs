//! What is answered in one piece, without a log: embeddings, moderations, a deletion.

use crate::openai::{EmbeddingParams, ModerationParams, Params, UnaryRequest};

use super::{Chunk, Credentials};

/// One request on its way to a backend.
#[derive(Debug)]
pub struct UnaryCall {
    /// What is asked for.
    pub task: Task,
    /// Headers of the client's that go upstream.
    pub headers: Vec<(String, String)>,
    /// Who has to know the upstream's key.
    pub credentials: Credentials,
}

/// What is asked for.
#[derive(Debug)]
pub enum Task {
    /// Vectors of texts.
    Embed(UnaryRequest<EmbeddingParams>),
    /// What is objectionable in texts and images.
    Moderate(UnaryRequest<ModerationParams>),
    /// That a model of this name is no more.
    DeleteModel(String),
}

/// An answer in one piece.
#[derive(Debug)]
pub struct UnaryAnswer {
    /// Headers for the client.
    pub headers: Vec<(String, String)>,
    /// The body and what was read of it.
    pub body: Chunk,
}

impl Task {
    /// The public name of the model that is asked.
    pub fn model(&self) -> &str {
        match self {
            Self::Embed(request) => request.params.model(),
            Self::Moderate(request) => request.params.model(),
            Self::DeleteModel(model) => model,
        }
    }

    /// What is asked for, for people who read logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Embed(_) => "embeddings",
            Self::Moderate(_) => "moderations",
            Self::DeleteModel(_) => "delete model",
        }
    }
}
