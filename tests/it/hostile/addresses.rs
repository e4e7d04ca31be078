//! Where an answer comes from is for the operator to say, whatever stands in a request.

use crate::{
    chunks::{STREAM, finish},
    http::{fetch, post, post_to, request},
    proxy::{Proxy, before},
    upstream::{Script, Upstream},
};

fn answer() -> Script {
    Script::stream().event(&finish()).done()
}

/// A server whose only upstream is known, and another machine that nobody may be led to.
fn beside() -> (Proxy, Upstream) {
    let keys = "[{ name = 'ci', key = 'secret' }]";
    let proxy = before(answer()).set("auth.keys", keys).start();
    (proxy, Upstream::play(answer()))
}

const KNOWN: (&str, &str) = ("authorization", "Bearer secret");

/// The other machine was asked for nothing, and the upstream only for what it is there for.
#[track_caller]
fn assert_untouched(proxy: &Proxy, other: &Upstream) {
    assert_eq!(other.counts(), (0, 0), "another machine was asked");
    if proxy.upstream.counts().1 > 0 {
        let head = proxy.upstream.request().head;
        let expected = format!("host: {}", proxy.upstream.address);
        assert!(
            head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.to_lowercase().contains(&expected), "{head}");
    }
}

#[test]
fn a_target_in_absolute_form_is_a_path_of_ours() {
    let (proxy, other) = beside();
    let url = format!("http://{}/v1/chat/completions", other.address);
    let reply = fetch(proxy.address(), &post_to(&url, STREAM, &[KNOWN]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    assert_untouched(&proxy, &other);
    let target = other.address.to_string();
    fetch(proxy.address(), &request("CONNECT", &target, &[KNOWN]));
    assert_untouched(&proxy, &other);
}

#[test]
fn headers_lead_nowhere_else() {
    let names = [
        "host",
        "x-forwarded-host",
        "x-forwarded-for",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "x-upstream",
        "openai-base-url",
        "location",
        "referer",
    ];
    for name in names {
        let (proxy, other) = beside();
        let address = other.address.to_string();
        for value in [
            &address,
            &format!("http://{address}/v1"),
            &format!("host={address}"),
        ] {
            fetch(proxy.address(), &post(STREAM, &[KNOWN, (name, value)]));
        }
        assert_untouched(&proxy, &other);
    }
}

#[test]
fn the_name_of_a_model_is_no_address() {
    let (proxy, other) = beside();
    let names = [
        format!("http://{}/v1", other.address),
        format!("//{}/", other.address),
        format!("@{}/", other.address),
        "../../admin".to_owned(),
        "..%2f..%2fadmin".to_owned(),
        "m?x=http://localhost#".to_owned(),
        "m\\r\\nhost: evil".to_owned(),
    ];
    for name in &names {
        let body = STREAM.replace("\"m\"", &format!("\"{name}\""));
        fetch(proxy.address(), &post(body, &[KNOWN]));
        assert_untouched(&proxy, &other);
    }
    for name in names.iter().filter(|name| !name.contains('\\')) {
        for method in ["GET", "DELETE"] {
            let path = format!("/v1/models/{name}");
            fetch(proxy.address(), &request(method, &path, &[KNOWN]));
            assert_eq!(other.counts(), (0, 0), "{path}");
        }
    }
}

#[test]
fn members_of_a_body_lead_nowhere_else() {
    let (proxy, other) = beside();
    let url = format!("http://{}/v1", other.address);
    for member in [
        "base_url", "api_base", "upstream", "url", "endpoint", "webhook",
    ] {
        let body = STREAM.replacen('{', &format!("{{\"{member}\":\"{url}\","), 1);
        fetch(proxy.address(), &post(body, &[KNOWN]));
    }
    let image = format!(r#"[{{"type":"image_url","image_url":{{"url":"{url}/a.png"}}}}]"#);
    fetch(
        proxy.address(),
        &post(STREAM.replace("\"Hi\"", &image), &[KNOWN]),
    );
    assert_untouched(&proxy, &other);
}

#[test]
fn a_redirect_is_not_followed_with_our_key() {
    let elsewhere = Upstream::play(answer());
    let location = format!("http://{}/v1/chat/completions", elsewhere.address);
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let script = Script::reply(status, &[("location", &location[..])], "");
        let headers = "{ authorization = 'Bearer sk-of-the-operator' }";
        let proxy = before(script).upstream("headers", headers).start();
        for path in [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/moderations",
        ] {
            let body = r#"{"model":"m","input":"a","prompt":"a","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
            let reply = fetch(proxy.address(), &post_to(path, body, &[]));
            assert!(
                reply.head.status >= 400,
                "{status} {path}: {}",
                reply.text()
            );
            assert_eq!(reply.head.header("location"), None);
        }
        let models = fetch(proxy.address(), &request("GET", "/v1/models", &[]));
        assert!(models.head.status >= 400, "{}", models.text());
    }
    assert_eq!(elsewhere.counts(), (0, 0));
}
