//! A cassette never holds a secret.

use super::{ask, files, folder, recording, replaying};
use crate::{
    chunks::{WHOLE, completion},
    http::{fetch, request},
    proxy::{before, wait_until_idle},
    upstream::Script,
};

/// Each is planted somewhere; none may be found.
const SECRETS: [&str; 9] = [
    "sk-in-the-authorization-1",
    "sk-in-another-header-2",
    "sk-in-a-cookie-3",
    "sk-in-the-query-4",
    "hunter2-by-its-name-5",
    "sk-in-a-label-6",
    "abc/def+by-its-scheme-7",
    "sk-in-the-user-8",
    "sk-in-a-reply-s-cookie-9",
];

#[test]
fn no_planted_secret_is_kept() {
    let folder = folder("secrets");
    let members = r#""metadata":{"api_key":"hunter2-by-its-name-5","note":"see sk-in-a-label-6 there","auth":"Bearer abc/def+by-its-scheme-7","run":"17"},"user":"ann sk-in-the-user-8","safety_identifier":"sk-in-the-user-8","#;
    let body = WHOLE.replacen('{', &format!("{{{members}"), 1);
    let length = body.len().to_string();
    let headers = [
        ("content-length", &length[..]),
        ("authorization", "Bearer sk-in-the-authorization-1"),
        ("x-api-key", "sk-in-another-header-2"),
        ("openai-organization", "sk-in-another-header-2"),
        ("cookie", "session=sk-in-a-cookie-3"),
    ];
    let path = "/v1/chat/completions?api_key=sk-in-the-query-4";
    let sent = [&request("POST", path, &headers)[..], body.as_bytes()].concat();
    // An upstream that gives away what it was given.
    let given = [
        ("content-type", "application/json"),
        ("set-cookie", "session=sk-in-a-reply-s-cookie-9"),
        ("x-api-key", "sk-in-another-header-2"),
        ("x-ratelimit-owner", "sk-in-the-authorization-1"),
    ];
    let echo = completion().replace("Hello", "You are sk-in-the-authorization-1, hello");
    let proxy = recording(Script::reply("200 OK", &given, &echo), &folder);
    assert_eq!(fetch(proxy.address(), &sent).head.status, 200);
    wait_until_idle(&proxy.server);
    let head = proxy.upstream.request().head;
    assert!(head.contains(SECRETS[0]), "it was on its way: {head}");
    let kept = files(&folder);
    assert_eq!(kept.len(), 1);
    let (name, text) = &kept[0];
    for secret in SECRETS {
        assert!(
            !text.contains(secret) && !name.contains(secret),
            "{secret} in {text}"
        );
    }
    for part in ["hunter2", "abc/def", "by-its", "sk-in"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    // What is no secret is there, and so the same request finds it, whatever its key.
    assert!(
        text.contains(r#""run": "17""#) && text.contains("ann [redacted]"),
        "{text}"
    );
    let other = body.replace("hunter2-by-its-name-5", "another");
    let reply = ask(&replaying(&folder), &other);
    let masked = echo.replace(SECRETS[0], &"*".repeat(SECRETS[0].len()));
    assert_eq!(reply.text(), masked);
}

#[test]
fn a_key_that_comes_back_across_two_reads_is_not_kept() {
    let folder = folder("across");
    let proxy = before(
        Script::stream()
            .chunk("data: {\"error\":{\"message\":\"no key s3cret-up")
            .chunk("stream-key\"}}\n\n")
            .end(),
    )
    .set("mock.cassettes", &super::set(&folder))
    .set("mock.on_miss", "'record'")
    .upstream("headers", "{ api-key = 's3cret-upstream-key' }")
    .start();
    proxy.ask(crate::chunks::STREAM);
    let (_, text) = files(&folder).remove(0);
    assert!(
        !text.contains("s3cret") && !text.contains("stream-key"),
        "{text}"
    );
    assert!(text.contains("no key *********"), "{text}");
}

#[test]
fn what_is_said_to_the_model_is_kept_as_it_is() {
    let folder = folder("said");
    let body = WHOLE.replace("Hi", "is sk-abcdefgh a key?");
    drop(recording(Script::json(&completion()), &folder).ask(&body));
    let (name, text) = files(&folder).remove(0);
    assert!(text.contains("is sk-abcdefgh a key?"), "{text}");
    assert!(!name.contains("abcdefgh"), "{name}");
}
