//! Who may use the server, and how much. Knows nothing of HTTP. Start at [`Keyring::identify`]
//! for keys, at [`Admission::admit`] for their limits, at [`Tickets::admit`] for the way back
//! into one completion.

mod hex;
mod keys;
mod limits;
mod settings;
mod tickets;

pub use keys::{Key, Keyring};
pub use limits::{
    Admission, Connect, Exceeded, Held, Limit, LimitFuture, Limiter, MemoryLimiter, Meter, Quota,
    RedisLimiter, Refused, Reservation, Room, Standing,
};
pub use settings::{KeyDigest, KeyError, KeySettings, Settings};
pub use tickets::{SecretError, Tickets};
