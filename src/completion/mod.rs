//! The use case: a request becomes a log, a pump fills it, readers show it.
//!
//! Knows nothing of actix. Start at [`Service::start`]; how a stream can end is decided in
//! `pump` and `progress`, what the client is told then in [`Failure`], and what a client
//! that comes back receives in [`Service::follow`].

mod about;
mod account;
mod activity;
mod cache;
mod claims;
mod clock;
mod code;
mod continuation;
mod deadline;
mod demand;
mod estimate;
mod failure;
mod fold;
mod follow;
mod frame;
mod heir;
mod last_words;
mod ledger;
mod made;
mod placeholders;
mod progress;
mod pump;
mod pumps;
mod record;
mod relay;
mod release;
mod service;
mod shared;
mod sink;
mod spent;
mod stored;
mod stored_service;
#[cfg(test)]
mod test_log;
mod trace;
mod unary;
mod unfilled;
mod view;
mod when_woken;

pub use crate::backend::{Credentials, Task, UnaryCall};
pub use about::About;
pub use activity::Activity;
pub use cache::{Cache, CacheOutcome};
pub use claims::Claims;
pub use clock::Clock;
pub use code::Code;
pub use failure::Failure;
pub use follow::Followed;
pub use heir::{Heir, Inherited};
pub use ledger::{Ledger, UsageSettings};
pub use made::Completion;
pub use pumps::Pumps;
pub use service::{Ask, Readiness, Service, Shared, Started, now};
pub use sink::Sink;
pub use stored::{Page, Picked, Stored, StoredSettings};
pub use unary::Reply;
