//! The `[auth]` section of the configuration: keys, as digests from the moment they are read.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::hex::digest_from_hex;

/// More than any server answers in a minute, and few enough for exact arithmetic in a script
/// of Redis, whose numbers are floats of 53 bits.
const MOST: u64 = 1_000_000_000;

/// The `[auth]` section of the configuration.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The keys that are accepted; with none, everyone is.
    pub keys: Vec<KeySettings>,
    /// A file with more of them, or nothing.
    pub keys_file: String,
    /// What tickets are signed with; a random secret of this process if empty.
    pub ticket_secret: String,
}

/// One `keys` entry: a name, the key in exactly one of three forms, and what it may.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// What the key is called in logs, and what its limits are counted under.
    pub name: String,
    /// The digest of the key itself, which is not kept.
    #[serde(default, deserialize_with = "hashed")]
    pub key: Option<KeyDigest>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// `sha256:` and the key's digest in hexadecimal.
    #[serde(default, deserialize_with = "written")]
    pub hash: Option<KeyDigest>,
    /// It may see what everyone does.
    #[serde(default)]
    pub admin: bool,
    /// The models that it may use, by name or pattern; all if not said.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// Requests per minute.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens per minute.
    #[serde(default)]
    pub tpm: Option<u64>,
    /// Answers under way at once.
    #[serde(default)]
    pub streams: Option<u64>,
    /// Tokens per day, which begins at midnight UTC.
    #[serde(default)]
    pub tokens_per_day: Option<u64>,
}

/// A `keys` entry that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct KeyError {
    /// The position of the entry.
    pub index: usize,
    /// Which of its members; `None` where they do not go together.
    pub member: Option<&'static str>,
    /// Why not, and what is allowed.
    pub reason: String,
}

/// The SHA-256 of a key.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// That of this key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Whether it is the same; it takes the same time either way.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn hashed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyDigest>, D::Error> {
    let key = String::deserialize(deserializer)?;
    if key.is_empty() {
        return Err(de::Error::custom("the key is empty"));
    }
    Ok(Some(KeyDigest::of(&key)))
}

fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyDigest>, D::Error> {
    let hash = String::deserialize(deserializer)?;
    let digest = hash.strip_prefix("sha256:").and_then(digest_from_hex);
    let expected = || de::Error::custom("expected `sha256:` and 64 hexadecimal digits");
    digest.map(KeyDigest).ok_or_else(expected).map(Some)
}

impl KeySettings {
    /// Checks each entry, and that no two have one name.
    ///
    /// # Errors
    /// [`KeyError`] for the first that cannot be used.
    pub fn check(entries: &[Self]) -> Result<(), KeyError> {
        let mut names = HashSet::new();
        for (index, entry) in entries.iter().enumerate() {
            let wrong = |(member, reason)| KeyError {
                index,
                member,
                reason,
            };
            entry.check_alone().map_err(wrong)?;
            if !names.insert(&entry.name) {
                let reason = format!("there is another key of the name `{}`", entry.name);
                return Err(wrong((Some("name"), reason)));
            }
        }
        Ok(())
    }

    fn check_alone(&self) -> Result<(), (Option<&'static str>, String)> {
        if self.name.is_empty() {
            return Err((Some("name"), "expected a name".to_owned()));
        }
        let forms = [
            self.key.is_some(),
            self.key_env.is_some(),
            self.hash.is_some(),
        ];
        if forms.iter().filter(|is_given| **is_given).count() != 1 {
            let reason = "expected exactly one of `key`, `key_env` and `hash`";
            return Err((None, reason.to_owned()));
        }
        let models = self.models.as_deref();
        if models.is_some_and(|models| models.is_empty() || models.iter().any(String::is_empty)) {
            let reason = "expected names, or patterns such as `gpt-*`; leave it out for all models";
            return Err((Some("models"), reason.to_owned()));
        }
        // A day has no clock to be exact about, only a sum.
        let limits = [
            ("rpm", self.rpm, MOST),
            ("tpm", self.tpm, MOST),
            ("streams", self.streams, MOST),
            ("tokens_per_day", self.tokens_per_day, MOST * 1000),
        ];
        for (member, limit, most) in limits {
            if limit.is_some_and(|limit| !(1..=most).contains(&limit)) {
                let reason = format!("expected 1 to {most}; leave it out for no limit");
                return Err((Some(member), reason));
            }
        }
        Ok(())
    }

    /// The digest of the key, once a variable's has been read.
    pub(super) fn digest(&self) -> Option<KeyDigest> {
        self.key.or(self.hash)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySettings")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(members: &str) -> Result<KeySettings, String> {
        let text = format!("name = 'a'\n{members}");
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    fn refused(members: &str) -> String {
        match entry(members) {
            Ok(entry) => KeySettings::check(&[entry]).expect_err(members).reason,
            Err(error) => error,
        }
    }

    #[test]
    fn an_entry_gives_its_key_in_exactly_one_form() {
        for none_or_two in ["", "key = 'k'\nkey_env = 'K'"] {
            assert!(refused(none_or_two).contains("exactly one"));
        }
        assert!(refused("key = ''").contains("empty"));
        for bad in ["", "sha256:", "md5:00", "sha256:é"] {
            let error = refused(&format!("hash = '{bad}'"));
            assert!(error.contains("64 hexadecimal"), "{error}");
        }
    }

    #[test]
    fn limits_begin_at_one() {
        for limit in ["rpm", "tpm", "streams", "tokens_per_day"] {
            let wrong = |value: &str| refused(&format!("key = 'k'\n{limit} = {value}"));
            assert!(wrong("0").contains("expected 1 to"), "{limit}");
            assert!(wrong("-1").contains("invalid value"), "{limit}");
            assert!(wrong("2000000000000").contains("expected 1 to"), "{limit}");
        }
        for models in ["[]", "['']"] {
            let error = refused(&format!("key = 'k'\nmodels = {models}"));
            assert!(error.contains("`gpt-*`"), "{error}");
        }
    }

    #[test]
    fn no_two_keys_have_one_name() {
        let entry = || entry("key = 'k'").expect("an entry");
        let error = KeySettings::check(&[entry(), entry()]).expect_err("twice");
        assert_eq!((error.index, error.member), (1, Some("name")));
    }
}
