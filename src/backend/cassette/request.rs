//! What of a request counts.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::redact::{redact, redact_text};

/// The most words of a prompt in a file's name, and the most characters of all of them.
const MAX_WORDS: usize = 6;
const MAX_NAME: usize = 40;
/// Numbers up to here are whole in every JSON reader (2 to the power of 53).
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A request as it is compared and kept: its path and its body, without secrets, its members in
/// order of their names and `1.0` written as `1`. Nothing else is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The path, such as `/v1/chat/completions`.
    pub path: String,
    /// The body.
    pub body: Value,
}

impl Request {
    /// A request of this body.
    ///
    /// # Errors
    /// Where the body is no JSON.
    pub fn new(path: &str, body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body).map(|body| Self::of(path, body))
    }

    /// A request of a body that was read already.
    pub fn of(path: &str, mut body: Value) -> Self {
        redact(&mut body);
        Self {
            path: path.to_owned(),
            body: canonical(body),
        }
    }

    /// What equal requests have in common.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(&self.path);
        hasher.update("\n");
        hasher.update(self.body.to_string());
        hasher.finalize().into()
    }

    /// A file's name for it, without extension: the first words that the user said last, and
    /// the beginning of its digest.
    pub fn file_name(&self) -> String {
        let digest = &self.digest()[..4];
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = redact_text(self.last_user().unwrap_or_default());
        let words = said.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).take(MAX_WORDS);
        let mut name = words.collect::<Vec<_>>().join("-").to_lowercase();
        name.truncate(MAX_NAME);
        match name.trim_end_matches('-') {
            "" => hash,
            words => format!("{words}-{hash}"),
        }
    }

    fn last_user(&self) -> Option<&str> {
        let is_user = |message: &&Value| message["role"] == "user";
        if let Some(prompt) = self.body["prompt"].as_str() {
            return Some(prompt);
        }
        let messages = self.body.get("messages")?.as_array()?;
        let content = &messages.iter().rev().find(is_user)?["content"];
        let part = content.as_array().and_then(|parts| {
            let mut texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.next()
        });
        content.as_str().or(part)
    }
}

/// The same value in the one form that it is compared in.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members.into_iter().collect();
            let sorted = sorted
                .into_iter()
                .map(|(name, value)| (name, canonical(value)));
            Value::Object(sorted.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        value @ (Value::Null | Value::Bool(_) | Value::String(_)) => value,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is whole and small enough"
)]
fn whole(number: &Number) -> Option<Number> {
    let value = number.as_f64().filter(|_| number.is_f64())?;
    (value.fract() == 0.0 && value.abs() < WHOLE).then(|| Number::from(value as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str) -> Request {
        Request::new("/v1/chat/completions", body.as_bytes()).expect("JSON")
    }

    #[test]
    fn order_and_the_way_numbers_are_written_do_not_count_and_all_else_does() {
        let one = request(r#"{"model":"m","temperature":1.0,"a":{"y":1,"x":[2e0]}}"#);
        let same = request(r#"{"a":{"x":[2],"y":1},"temperature":1,"model":"m"}"#);
        assert_eq!(one, same);
        assert_eq!(one.digest(), same.digest());
        for other in [
            r#"{"a":{"x":[2],"y":1},"temperature":1,"model":"n"}"#,
            r#"{"a":{"x":[2],"y":1},"temperature":1.5,"model":"m"}"#,
            r#"{"a":{"x":[2],"y":1},"temperature":1,"model":"m","stream":false}"#,
            r#"{"a":{"x":[2,3],"y":1},"temperature":1,"model":"m"}"#,
        ] {
            assert_ne!(one.digest(), request(other).digest(), "{other}");
        }
    }

    #[test]
    fn a_file_is_named_after_the_first_words_of_the_last_question() {
        let names = [
            (r#""Hi""#, "hi-"),
            (
                r#""Where, please, is the station of this Town, and why?""#,
                "where-please-is-the-station-of-",
            ),
            (
                r#"[{"type":"text","text":"../../etc/passwd"}]"#,
                "etc-passwd-",
            ),
            (r#""my key is sk-abcdefghijklmnop ""#, "my-key-is-redacted-"),
        ];
        for (content, expected) in names {
            let body = format!(
                r#"{{"messages":[{{"role":"user","content":{content}}},{{"role":"assistant","content":"no"}}]}}"#
            );
            let name = request(&body).file_name();
            assert_eq!(&name[..name.len() - 8], expected);
        }
        let nameless = request(r#"{"messages":[{"role":"user","content":"日本語"}]}"#);
        assert_eq!(nameless.file_name().len(), 8);
    }
}
