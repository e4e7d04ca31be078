//! Several processes on one real Redis.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits for processes in real time"
)]

mod cluster;
mod idempotency;
mod stored;
mod streams;
