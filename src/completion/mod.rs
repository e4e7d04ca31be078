//! The use case: a request becomes a log, a pump fills it, readers show it.
//!
//! Knows nothing of actix. Start at [`Service::start`]; how a stream can end is decided in
//! `pump` and `progress`, and what the client is told then in [`Failure`].

mod failure;
mod fold;
mod frame;
mod ledger;
mod progress;
mod pump;
mod pumps;
mod service;

pub use failure::{Code, Failure};
pub use pumps::Pumps;
pub use service::{Ask, Completion, Service, Started};
