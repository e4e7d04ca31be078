//! Several processes on one real Redis.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits for processes in real time"
)]

mod cluster;
mod drain;
mod frozen;
mod idempotency;
mod inherited;
mod limits;
#[path = "../it/redis.rs"]
mod redis;
#[path = "../it/started.rs"]
mod started;
mod stored;
mod streams;
