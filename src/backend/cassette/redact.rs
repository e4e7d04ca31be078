//! What of a request is never kept.
//!
//! Outside of what is said to the model: the value of every member whose name is that of
//! a secret, and whatever looks like a key in any other text. What is said to the model stays
//! as it is, for it is what a cassette is about.

use serde_json::Value;

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";
/// Members of a body that hold what is said to the model.
const SAID: [&str; 5] = ["messages", "input", "prompt", "instructions", "prediction"];
/// Members that hold JSON Schemas, whose members may be named like secrets.
const SCHEMAS: [&str; 4] = ["tools", "functions", "response_format", "text"];
/// How names of secrets end, in lower case and without `-` and `_`.
const NAMES: [&str; 15] = [
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "authorization",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "cookie",
    "credential",
    "credentials",
    "bearer",
];
/// How keys of known services begin.
const PREFIXES: [&str; 21] = [
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "gsk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "hf_",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "AKIA",
    "AIza",
    "nvapi-",
    "pplx-",
    "xai-",
];
/// A key has so many characters after its prefix at least.
const SHORTEST: usize = 6;
/// A JSON Web Token has at least so many.
const SHORTEST_TOKEN: usize = 30;

/// Takes the secrets out of a body.
pub(super) fn redact(body: &mut Value) {
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        let is_schema = SCHEMAS.contains(&&name[..]);
        if !SAID.contains(&&name[..]) {
            member(name, value, is_schema);
        }
    }
}

fn member(name: &str, value: &mut Value, is_schema: bool) {
    let is_secret = is_secret_name(name);
    if is_secret && (!is_schema || !value.is_object()) {
        return erase(value);
    }
    walk(value, is_schema);
}

fn walk(value: &mut Value, is_schema: bool) {
    match value {
        Value::String(text) => *text = redact_text(text),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, is_schema)),
        Value::Object(members) => {
            for (name, value) in members {
                member(name, value, is_schema);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whatever stands there.
fn erase(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(_) | Value::Number(_) => *value = REDACTED.into(),
        Value::Array(items) => items.iter_mut().for_each(erase),
        Value::Object(members) => members.values_mut().for_each(erase),
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NAMES.iter().any(|secret| plain.ends_with(secret))
}

/// A text without what looks like a key in it.
pub(super) fn redact_text(text: &str) -> String {
    if text.contains("PRIVATE KEY-----") {
        return REDACTED.to_owned();
    }
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_scheme = false;
    while let Some(first) = rest.chars().next() {
        // What was taken out before is not looked at again: a file is read as it was written.
        if let Some(following) = rest.strip_prefix(REDACTED) {
            redacted.push_str(REDACTED);
            (rest, after_scheme) = (following, false);
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !is_part(first) {
            redacted.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        // What follows `Bearer` is a key, whatever it is made of.
        let ends = |c: char| match after_scheme {
            true => c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'),
            false => !is_part(c),
        };
        let (word, following) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        let is_key = is_key(word) || (after_scheme && word.len() >= SHORTEST);
        redacted.push_str(if is_key { REDACTED } else { word });
        after_scheme = word.eq_ignore_ascii_case("bearer");
        rest = following;
    }
    redacted
}

fn is_key(word: &str) -> bool {
    let is_prefixed = PREFIXES.iter().any(|prefix| {
        let rest = word.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.len() >= SHORTEST)
    });
    let is_web_token =
        word.starts_with("eyJ") && word.len() >= SHORTEST_TOKEN && word.split('.').count() == 3;
    is_prefixed || is_web_token
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_key_goes_and_the_text_around_it_stays() {
        let cases = [
            ("sk-abcdefgh", "[redacted]"),
            ("key=sk-proj-abc_DEF-123.", "key=[redacted]"),
            ("https://x/?k=AIzaSyA-1234567", "https://x/?k=[redacted]"),
            (
                "Authorization: Bearer a/b+c==, and",
                "Authorization: Bearer [redacted], and",
            ),
            ("bearer short", "bearer short"),
            ("ghp_1234567890 é sk-abcdef🌊", "[redacted] é [redacted]🌊"),
            ("task-force and risk-averse", "task-force and risk-averse"),
            (
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
                "[redacted]",
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII", "[redacted]"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(redact_text(text), expected);
        }
    }

    proptest! {
        #[test]
        fn what_was_redacted_stays_as_it_is(text in "((bearer|Bearer:|sk-|\\[redacted\\]|[a-z]{1,7}|\\PC)[ ={-]?){0,8}") {
            let once = redact_text(&text);
            prop_assert_eq!(redact_text(&once), once);
        }
    }

    #[test]
    fn members_named_like_secrets_go_and_limits_on_tokens_stay() {
        let mut body = json!({
            "max_tokens": 5,
            "prompt_cache_key": "mine",
            "user": "ann sk-abcdefgh",
            "metadata": {"api_key": "x", "X-Api-Key": "y", "run": "7", "note": "Bearer abcdefg"},
            "auth": {"access_token": ["a", {"b": 1}], "credentials": {"name": "n"}},
            "tools": [
                {"type": "mcp", "authorization": "z", "headers": {"Cookie": "c"}},
                {"type": "function", "function": {"name": "f", "parameters":
                    {"properties": {"password": {"type": "string"}}, "required": ["password"]}}},
            ],
            "messages": [{"role": "user", "content": "sk-abcdefgh", "password": "kept"}],
        });
        redact(&mut body);
        let expected = json!({
            "max_tokens": 5,
            "prompt_cache_key": "mine",
            "user": "ann [redacted]",
            "metadata": {"api_key": "[redacted]", "X-Api-Key": "[redacted]", "run": "7",
                "note": "Bearer [redacted]"},
            "auth": {"access_token": ["[redacted]", {"b": "[redacted]"}],
                "credentials": {"name": "[redacted]"}},
            "tools": [
                {"type": "mcp", "authorization": "[redacted]", "headers": {"Cookie": "[redacted]"}},
                {"type": "function", "function": {"name": "f", "parameters":
                    {"properties": {"password": {"type": "string"}}, "required": ["password"]}}},
            ],
            "messages": [{"role": "user", "content": "sk-abcdefgh", "password": "kept"}],
        });
        assert_eq!(body, expected);
    }
}
