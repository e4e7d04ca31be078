//! Upstreams that break every rule there is: each stream still ends in its one right way, and
//! nothing is left behind.

mod accounts;
mod addresses;
mod bytes;
mod choices;
mod cuts;
mod forwarding;
mod framing;
mod malformed;
mod refusals;
mod secrets;
mod silence;
mod sizes;
