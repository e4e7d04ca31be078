//! The OpenAI wire: its types and the bytes of its chunks. No I/O.
//!
//! Requests are parsed by [`ChatRequest::parse`]; a chunk's bytes are read by [`scan()`].

mod bounds;
mod chunk;
mod completion;
mod edit;
mod embedding;
mod error;
mod finished;
mod form;
mod identity;
mod int;
pub mod json;
mod message;
mod model;
mod moderation;
pub mod object;
mod partial;
mod plain;
mod request;
mod scan;
mod shape;
mod text;
mod text_input;
mod unary;

pub use bounds::Bounds;
pub use chunk::{
    ChatChunk, ChunkChoice, Delta, FunctionDelta, Logprobs, TokenLogprob, ToolCallDelta,
    TopLogprob, Usage,
};
pub use completion::{Answer, ChatCompletion, ChatCompletionView, Choice, CompletionView, Status};
pub use edit::Field;
pub use embedding::{Embedding, EmbeddingList, EmbeddingParams, EmbeddingUsage, Encoding, Vector};
pub use error::{ErrorBody, ErrorEnvelope, Invalid};
pub use finished::Finished;
pub use form::Form;
pub use int::Int;
pub use message::{Content, Message, Part, Role};
pub use model::{Model, ModelDeleted, ModelList};
pub use moderation::{
    CATEGORIES, Category, Moderation, ModerationInput, ModerationParams, ModerationPart,
    ModerationResult,
};
pub use partial::{Continuation, Partial};
pub use request::{ChatParams, ChatRequest, Destination, MAX_CHOICES, Stop, StreamOptions};
pub use scan::{Facts, Span, scan};
pub use shape::{Likeness, Scanner};
pub use text::{TextChoice, TextCompletion, TextCompletionView, TextParams};
pub use text_input::TextInput;
pub use unary::{Params, UnaryRequest};
