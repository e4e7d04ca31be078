//! The server as its clients and its upstreams see it: bytes over real sockets.
//!
//! `http` is the client, `upstream` a model server that misbehaves as it is told, `proxy` puts
//! the server between them. Everything else is tests.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken helper is a failed test"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "sockets run on the machine's clock, which cannot be paused"
)]

mod chunks;
mod discovery;
mod failover;
mod gate;
mod http;
mod proxy;
mod redis;
mod reply;
mod started;
mod upstream;

mod bad_input;
mod bench;
mod cache;
mod cassettes;
mod chat;
mod continuation;
mod hostile;
mod http10;
mod http2;
mod legacy;
mod limits;
mod matrix;
mod mock;
mod operation;
mod pages;
mod panics;
mod reference;
mod resume;
mod routing;
mod scenarios;
mod shell;
mod slow;
mod stale;
mod terminal;
mod traces;
mod unary;
mod usage;
