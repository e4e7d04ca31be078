//! What an error of an upstream's entry says.

use std::path::PathBuf;

use super::*;

/// A configuration whose only upstream has these members too, on line 3.
fn config(members: &str) -> Result<Config, ConfigError> {
    Config::from_toml(&format!(
        "[[models]]\nname = '*'\nupstreams = [{{ base_url = 'http://x', {members} }}]"
    ))
}

fn refused(members: &str) -> String {
    config(members).expect_err(members).to_string()
}

/// A file with this text, removed with the value.
struct File(PathBuf);

impl File {
    fn holding(name: &str, text: &str) -> Self {
        let name = format!("tokenfall-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("written");
        Self(path)
    }

    fn member(&self) -> String {
        format!("key_file = '{}'", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Nothing to be done about one that stays.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_key_is_read_from_a_file_without_the_space_around_it() {
    let file = File::holding("key", " \tsecret\r\n");
    let config = config(&file.member()).expect("a key");
    let key = config.models[0].upstreams[0].key.as_ref();
    assert_eq!(key.map(|Secret(key)| &key[..]), Some("secret"));
}

#[test]
fn a_file_without_a_usable_key_is_named() {
    let (empty, odd) = (File::holding("empty", " \n"), File::holding("odd", "a\nb"));
    let missing = "key_file = '/nowhere/key'";
    let both = format!("key_env = 'K', {missing}");
    for (members, reason) in [
        (missing, "`/nowhere/key` cannot be read: No such file"),
        (&both, "expected none beside key_env"),
        (&empty.member(), "holds no key"),
        (
            &odd.member(),
            "the key has characters that no header can carry",
        ),
    ] {
        let error = refused(members);
        let start = "config:3: models[0].upstreams[0].key_file: ";
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_cannot_be_set_in_bodies_is_named() {
    let start = "config:3: models[0].upstreams[0].body: ";
    let error = refused("body = { top_k = 1, stream = false }");
    assert!(error.starts_with(start), "{error}");
    assert!(error.contains("`stream` cannot be set"), "{error}");
    let error = refused("body = { x = [inf] }");
    assert!(error.contains("`x`: expected what JSON can say"), "{error}");
    let error = refused("query = { api-version = 1 }");
    assert!(error.contains("expected a string"), "{error}");
}
