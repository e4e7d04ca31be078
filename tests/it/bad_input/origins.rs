//! Web pages and host names that may not use a server which could spend its operator's money.

use super::MOCK;
use crate::{
    chunks::{STREAM, finish, frame},
    http::{fetch, post, request},
    proxy::{Proxy, before},
    reply::Reply,
    upstream::Script,
};

const FOREIGN: (&str, &str) = ("origin", "https://evil.example");

fn answer() -> Script {
    Script::stream().event(&finish()).done()
}

/// A browser's question whether a page may post JSON.
fn preflight(origin: (&str, &str)) -> Vec<u8> {
    let headers = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, x-any"),
    ];
    request("OPTIONS", "/v1/chat/completions", &headers)
}

fn allowed<'a>(reply: &'a Reply, what: &str) -> Option<&'a str> {
    reply.head.header(&format!("access-control-allow-{what}"))
}

#[track_caller]
fn assert_forbidden(proxy: &Proxy, reply: &Reply) {
    reply.assert_refused(403, "forbidden");
    assert_eq!(allowed(reply, "origin"), None);
    assert_eq!(proxy.upstream.counts(), (0, 0), "the upstream was asked");
}

#[test]
fn a_foreign_page_may_use_a_mock() {
    let reply = fetch(MOCK.address(), &request("GET", "/v1/models", &[FOREIGN]));
    assert_eq!(reply.head.status, 200);
    assert_eq!(allowed(&reply, "origin"), Some("*"));
    assert_eq!(allowed(&reply, "credentials"), None);
    let exposed = reply.head.header("access-control-expose-headers");
    let exposed = exposed.unwrap_or_default();
    let names = [
        "x-request-id",
        "x-completion-id",
        "retry-after",
        "x-ratelimit-remaining-tokens",
    ];
    for name in names {
        assert!(exposed.split(", ").any(|known| known == name), "{exposed}");
    }
}

#[test]
fn a_page_can_read_why_its_request_was_refused() {
    let reply = fetch(MOCK.address(), &post("not JSON", &[FOREIGN]));
    reply.assert_refused(400, serde_json::Value::Null);
    assert_eq!(allowed(&reply, "origin"), Some("*"));
}

#[test]
fn a_preflight_reflects_what_was_asked_for() {
    let reply = fetch(MOCK.address(), &preflight(FOREIGN));
    assert_eq!(reply.head.status, 204);
    assert!(reply.body.is_empty());
    assert_eq!(allowed(&reply, "origin"), Some("*"));
    assert_eq!(allowed(&reply, "methods"), Some("POST"));
    assert_eq!(allowed(&reply, "headers"), Some("authorization, x-any"));
}

#[test]
fn a_preflight_needs_no_key() {
    let keys = "[{ name = 'ci', key = 'secret' }]";
    let proxy = before(answer()).set("auth.keys", keys).start();
    let reply = fetch(proxy.address(), &preflight(FOREIGN));
    assert_eq!(reply.head.status, 204);
    assert_eq!(allowed(&reply, "origin"), Some("*"));
}

#[test]
fn a_foreign_page_may_not_use_a_proxy_without_keys() {
    let proxy = before(answer()).start();
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
    ] {
        let origin = ("origin", origin);
        let requests = [post(STREAM, &[origin]), preflight(origin)];
        for request in requests {
            assert_forbidden(&proxy, &fetch(proxy.address(), &request));
        }
    }
}

#[test]
fn a_foreign_page_with_a_key_may_use_a_proxy() {
    let keys = "[{ name = 'ci', key = 'secret' }]";
    let proxy = before(answer()).set("auth.keys", keys).start();
    let reply = proxy.ask_with(STREAM, &[FOREIGN, ("authorization", "Bearer secret")]);
    reply.assert_streams(&frame(&finish()));
    assert_eq!(allowed(&reply, "origin"), Some("*"));
}

#[test]
fn pages_of_this_machine_and_named_ones_may_use_a_proxy() {
    let origins = "['https://chat.example.org']";
    let proxy = before(answer()).set("cors.origins", origins).start();
    let own = format!("http://{}", proxy.address());
    let pages = [
        "http://localhost:3000",
        "http://127.0.0.1:5173",
        "https://chat.example.org",
        &own,
    ];
    for page in pages {
        let origin = ("origin", page);
        assert_eq!(fetch(proxy.address(), &preflight(origin)).head.status, 204);
        let reply = proxy.ask_with(STREAM, &[origin]);
        reply.assert_streams(&frame(&finish()));
        assert_eq!(allowed(&reply, "origin"), Some(page));
        assert_eq!(reply.head.header("vary"), Some("origin"));
    }
}

#[test]
fn a_foreign_host_name_is_refused_by_a_proxy_without_keys() {
    let proxy = before(answer()).start();
    for host in ["evil.example", "localhost.evil.example", "evil.example:80"] {
        let reply = fetch(proxy.address(), &post(STREAM, &[("host", host)]));
        assert_forbidden(&proxy, &reply);
    }
}

#[test]
fn hosts_of_ones_own_are_served() {
    let url = "'https://tokens.example.org'";
    let proxy = before(answer()).set("server.public_url", url).start();
    let own = proxy.address().to_string();
    for host in [
        "localhost",
        "127.0.0.1:80",
        "[::1]:80",
        "tokens.example.org",
        &own,
    ] {
        let reply = proxy.ask_with(STREAM, &[("host", host)]);
        reply.assert_streams(&frame(&finish()));
    }
}

#[test]
fn probes_are_answered_under_any_name() {
    let proxy = before(answer()).start();
    for path in ["/livez", "/readyz"] {
        let reply = fetch(proxy.address(), &request("GET", path, &[("host", "pod-7")]));
        assert_eq!(reply.head.status, 200, "{}", reply.text());
    }
}
