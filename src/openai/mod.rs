//! The OpenAI wire: its types and the bytes of its chunks. No I/O.
//!
//! Requests are parsed by [`ChatRequest::parse`]; a chunk's bytes are read by [`scan()`].

mod chunk;
mod completion;
mod edit;
mod error;
mod int;
pub mod json;
mod message;
mod model;
mod object;
mod request;
mod scan;

pub use chunk::{
    ChatChunk, ChunkChoice, Delta, FunctionDelta, Logprobs, TokenLogprob, ToolCallDelta,
    TopLogprob, Usage,
};
pub use completion::{Answer, ChatCompletion, ChatCompletionView, Choice, Status};
pub use error::{ErrorBody, ErrorEnvelope, Invalid};
pub use int::Int;
pub use message::{Content, Message, Part, Role};
pub use model::{Model, ModelList};
pub use request::{ChatParams, ChatRequest, MAX_CHOICES, Stop, StreamOptions};
pub use scan::{Facts, scan};
