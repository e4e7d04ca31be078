//! API keys, held as digests and compared in constant time.

use std::sync::Arc;

use super::{
    limits::Quota,
    settings::{KeyDigest, KeySettings},
};

/// A key that is accepted.
pub struct Key {
    /// What it is called in logs.
    pub name: String,
    /// It may see what everyone does.
    pub is_admin: bool,
    /// The models that it may use, by name or pattern; all if `None`.
    pub models: Option<Vec<String>>,
    /// How much it may use, if that has limits.
    pub quota: Option<Arc<Quota>>,
    digest: KeyDigest,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The keys that are accepted.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Arc<Key>>,
}

impl Keyring {
    /// The keys of entries that were checked; without those whose variable was not read.
    pub fn new(entries: &[KeySettings]) -> Self {
        let key = |entry: &KeySettings| {
            Some(Arc::new(Key {
                name: entry.name.clone(),
                is_admin: entry.admin,
                models: entry.models.clone(),
                quota: Quota::of(entry).map(Arc::new),
                digest: entry.digest()?,
            }))
        };
        Self {
            keys: entries.iter().filter_map(key).collect(),
        }
    }

    /// No key is asked for.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A key, if it is one of ours. Takes the same time for each key held, whether it matches
    /// or not.
    pub fn identify(&self, presented: &str) -> Option<&Arc<Key>> {
        let presented = KeyDigest::of(presented);
        let mut found = None;
        for key in &self.keys {
            if key.digest.is(&presented) {
                found = Some(key);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_itself_and_by_its_hash() {
        let entry = |text: &str| toml::from_str::<KeySettings>(text).expect("an entry");
        // printf other | sha256sum
        let hash = "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
        let entries = [
            entry("name = 'a'\nkey = 'secret'"),
            entry(&format!("name = 'b'\nhash = '{hash}'")),
        ];
        let keyring = Keyring::new(&entries);
        let name = |key: &str| keyring.identify(key).map(|key| key.name.clone());
        assert_eq!(name("secret").as_deref(), Some("a"));
        assert_eq!(name("other").as_deref(), Some("b"));
        assert_eq!(name(hash), None);
        assert_eq!(name(""), None);
    }
}
