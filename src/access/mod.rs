//! Who may use the server. Knows nothing of HTTP. Start at [`Keyring::identify`].

mod keys;

pub use keys::{KeyError, KeySettings, Keyring, Settings, digest};
