//! Tokenfall speaks the OpenAI API and cares about one thing: the token stream.
//!
//! A completion is a log ([`stream`]): a pump ([`completion`]) fills it from a backend
//! ([`backend`]), and replies ([`api`]) are its readers. ARCHITECTURE.md has the picture.

pub mod access;
pub mod api;
pub mod backend;
pub mod cause;
pub mod cli;
pub mod client;
pub mod completion;
pub mod config;
pub mod http1;
pub mod metrics;
pub mod openai;
pub mod server;
pub mod spans;
pub mod sse;
pub mod stream;
pub mod telemetry;
pub mod testing;
pub mod tokens;
pub mod wire;
