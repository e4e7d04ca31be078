//! How streams begin and end: the commit, heartbeats, the last write, clients that leave and
//! servers that stop.

mod commit;
mod drain;
mod ending;
mod heartbeats;
mod leaving;
