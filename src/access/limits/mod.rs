//! How much a key may use, and how much this node can do at once.
//!
//! Requests and tokens per minute are **token buckets**: each has room for a minute's worth, and
//! what was taken comes back evenly. Two numbers say all of it, however many requests there are,
//! and when the next one fits is known exactly, which a log of requests (unbounded) or a window
//! with edges (twice the limit across one) cannot offer. Units are sixty-thousandths, so that a
//! millisecond gives back a whole number of them and nothing is ever rounded.
//!
//! An answer's tokens are **held** from its start at an estimate, and counted as what they were at
//! its end. Start at [`Admission::admit`]; the arithmetic is in `levels`, and once more in the
//! scripts of `redis`. Both pass `contract_tests.rs`.

mod admission;
mod exceeded;
mod levels;
mod memory;
mod quota;
mod redis;
mod room;
mod scripts;

use std::{future::Future, pin::Pin, sync::Arc};

pub use self::redis::{Connect, RedisLimiter};
pub use admission::{Admission, Reservation};
pub use exceeded::{Exceeded, Limit};
pub use levels::{Meter, Standing};
pub use memory::MemoryLimiter;
pub use quota::Quota;
pub use room::Room;

/// What a limiter answers with.
pub type LimitFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Its key has used what it may.
    Exceeded(Box<Exceeded>),
    /// This node has all the answers under way that it may have, and enough requests that wait.
    Busy,
    /// What the nodes count together cannot be reached.
    Unavailable,
}

/// What an answer under way holds of its key's quota.
#[derive(Debug, Clone)]
pub struct Held {
    quota: Arc<Quota>,
    id: String,
    tokens: u64,
    // Counted by this node alone, because Redis was away.
    is_own: bool,
}

/// Counts what keys use. Every implementation passes the contract tests.
pub trait Limiter: Send + Sync {
    /// Takes one request and one stream and holds `tokens`, or takes nothing at all.
    fn reserve<'a>(
        &'a self,
        quota: &'a Arc<Quota>,
        tokens: u64,
    ) -> LimitFuture<'a, Result<(Held, Standing), Refused>>;

    /// The answer has ended: its stream is free, and these tokens count instead of those held.
    /// Never waits.
    fn end(&self, held: &Held, used: u64);

    /// Does what has to be done beside the requests, for as long as it is polled.
    fn tend(&self) -> LimitFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Waits until what has ended is where it has to be, before a stop.
    fn settle(&self) -> LimitFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod contract_tests;
