//! Who may use the server. Knows nothing of HTTP. Start at [`Keyring::identify`] for keys,
//! at [`Tickets::admit`] for the way back into one completion.

mod hex;
mod keys;
mod tickets;

pub use keys::{Key, KeyError, KeySettings, Keyring, Settings};
pub use tickets::{SecretError, Tickets};
