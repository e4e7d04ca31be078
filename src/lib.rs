//! Tokenfall.
pub mod openai;
pub mod sse;
pub mod stream;
