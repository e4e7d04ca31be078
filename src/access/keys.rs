//! API keys, held as digests and compared in constant time.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::hex::digest_from_hex;

/// The `[auth]` section of the configuration.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The keys that are accepted; with none, everyone is.
    pub keys: Vec<KeySettings>,
    /// What tickets are signed with; a random secret of this process if empty.
    pub ticket_secret: String,
}

/// One `keys` entry: a name, and the key in exactly one of three forms.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// What the key is called in logs.
    pub name: String,
    /// The key itself.
    #[serde(default)]
    pub key: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// `sha256:` and the key's digest in hexadecimal.
    #[serde(default)]
    pub hash: Option<String>,
    /// It may see what everyone does.
    #[serde(default)]
    pub admin: bool,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySettings")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A `keys` entry that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct KeyError {
    /// The position of the entry.
    pub index: usize,
    /// Why not, and what is allowed.
    pub reason: &'static str,
}

/// A key that is accepted.
#[derive(Debug)]
pub struct Key {
    /// What it is called in logs.
    pub name: String,
    /// It may see what everyone does.
    pub is_admin: bool,
    digest: [u8; 32],
}

/// The keys that are accepted.
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// The keys of these settings; a key that was named by `key_env` must have been read.
    ///
    /// # Errors
    /// [`KeyError`] when an entry gives no key, several, or a malformed hash.
    pub fn new(settings: &Settings) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, entry) in settings.keys.iter().enumerate() {
            let digest = entry
                .digest()
                .map_err(|reason| KeyError { index, reason })?;
            keys.push(Key {
                name: entry.name.clone(),
                is_admin: entry.admin,
                digest,
            });
        }
        Ok(Self { keys })
    }

    /// No key is asked for.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A key, if it is one of ours. Takes the same time for each key held, whether it matches
    /// or not.
    pub fn identify(&self, presented: &str) -> Option<&Key> {
        let presented = digest(presented);
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.digest.ct_eq(&presented)) {
                found = Some(key);
            }
        }
        found
    }
}

impl KeySettings {
    fn digest(&self) -> Result<[u8; 32], &'static str> {
        match (&self.key, &self.hash) {
            (Some(key), None) if !key.is_empty() => Ok(digest(key)),
            (Some(_), None) => Err("the key is empty"),
            (None, Some(hash)) => {
                parse_hash(hash).ok_or("expected `sha256:` and 64 hexadecimal digits")
            }
            (Some(_), Some(_)) | (None, None) => {
                Err("expected exactly one of `key`, `key_env` and `hash`")
            }
        }
    }
}

/// SHA-256 of a key.
fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn parse_hash(hash: &str) -> Option<[u8; 32]> {
    digest_from_hex(hash.strip_prefix("sha256:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> KeySettings {
        KeySettings {
            name: name.to_owned(),
            key: None,
            key_env: None,
            hash: None,
            admin: false,
        }
    }

    fn with(keys: Vec<KeySettings>) -> Settings {
        Settings {
            keys,
            ..Settings::default()
        }
    }

    #[test]
    fn a_key_is_known_by_itself_and_by_its_hash() {
        let by_key = KeySettings {
            key: Some("secret".to_owned()),
            ..entry("a")
        };
        // printf other | sha256sum
        let hash = "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
        let by_hash = KeySettings {
            hash: Some(hash.to_owned()),
            ..entry("b")
        };
        let keys = vec![by_key, by_hash];
        let keyring = Keyring::new(&with(keys)).expect("valid entries");
        let name = |key: &str| keyring.identify(key).map(|key| key.name.clone());
        assert_eq!(name("secret").as_deref(), Some("a"));
        assert_eq!(name("other").as_deref(), Some("b"));
        assert_eq!(name(hash), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn an_entry_gives_its_key_in_exactly_one_form() {
        let refused = |entry: KeySettings| {
            let settings = with(vec![entry]);
            Keyring::new(&settings).err().expect("refused").reason
        };
        assert!(refused(entry("none")).contains("exactly one"));
        let both = KeySettings {
            key: Some("k".to_owned()),
            hash: Some("h".to_owned()),
            ..entry("both")
        };
        assert!(refused(both).contains("exactly one"));
        for bad in [
            "",
            "sha256:",
            "md5:00",
            &format!("sha256:{}", "é".repeat(32)),
        ] {
            let bad = KeySettings {
                hash: Some(bad.to_owned()),
                ..entry("bad")
            };
            assert!(refused(bad).contains("64 hexadecimal"));
        }
    }

    #[test]
    fn keys_never_show_in_debug_output() {
        let shown = format!(
            "{:?}",
            KeySettings {
                key: Some("secret".to_owned()),
                ..entry("a")
            }
        );
        assert!(!shown.contains("secret"), "{shown}");
    }
}
