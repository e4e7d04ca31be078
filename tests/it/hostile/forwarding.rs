//! What an upstream gets to see of a request, and a client of its reply.

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, text},
    gate::Gate,
    proxy::{Proxy, before, wait_until_idle},
    upstream::{Request, Script},
};

fn answer() -> Script {
    Script::stream().event(&text("one")).event(&finish()).done()
}

/// The request that the upstream got for this one.
fn forwarded(proxy: &Proxy, body: &str, headers: &[(&str, &str)]) -> Request {
    let reply = proxy.ask_with(body, headers);
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    proxy.upstream.request()
}

#[test]
fn unknown_fields_and_number_formats_reach_the_upstream_as_they_are() {
    let proxy = before(Script::json(&completion())).start();
    let body = "{\"temperature\":1.50e-1,\"model\":\"m\",\"vendor\":{\"a\" : [1.0, 2.00]},\"big\":123456789012345678901234567890,\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\u{e9}\",\"x\":-0.0}],\"top_p\":1}";
    assert_eq!(forwarded(&proxy, body, &[]).body, body);
}

#[test]
fn our_own_fields_stay_here() {
    let proxy = before(answer()).start();
    let own = r#""include_sequence":false,"background":false,"#;
    let body = STREAM.replacen('{', &format!("{{{own}"), 1);
    let body = body.replace(r#""messages""#, r#""keep":{"background":1},"messages""#);
    let request = forwarded(&proxy, &body, &[]);
    let expected = r#"{"model":"m","stream":true,"keep":{"background":1},"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}"#;
    assert_eq!(request.body, expected);
}

#[test]
fn usage_is_asked_for_beside_other_options() {
    let proxy = before(answer()).start();
    let options = r#"{"stream_options":{"vendor":1.0,"include_usage":false},"#;
    let body = STREAM.replacen('{', options, 1);
    let request = forwarded(&proxy, &body, &[]);
    let expected = r#"{"stream_options":{"include_usage":true,"vendor":1.0},"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(request.body, expected);
}

#[test]
fn usage_is_not_asked_for_where_the_upstream_refuses_it() {
    let proxy = before(answer()).upstream("ask_usage", "false").start();
    assert_eq!(forwarded(&proxy, STREAM, &[]).body, STREAM);
}

#[test]
fn usage_is_not_asked_for_where_nothing_is_streamed() {
    let proxy = before(Script::json(&completion())).start();
    assert_eq!(forwarded(&proxy, WHOLE, &[]).body, WHOLE);
}

#[test]
fn the_model_gets_the_name_that_the_upstream_knows() {
    let settings = before(Script::json(&completion()));
    let proxy = settings.upstream("model", "'llama/3'").start();
    let expected = WHOLE.replace(r#""m""#, r#""llama/3""#);
    assert_eq!(forwarded(&proxy, WHOLE, &[]).body, expected);
}

#[test]
fn the_head_of_a_request_says_what_is_sent_and_wanted() {
    let cases = [
        (STREAM, answer(), "text/event-stream"),
        (WHOLE, Script::json(&completion()), "application/json"),
    ];
    for (body, script, accept) in cases {
        let proxy = before(script).start();
        let request = forwarded(&proxy, body, &[("accept", "text/plain")]);
        let line = request.head.lines().next();
        assert_eq!(line, Some("POST /v1/chat/completions HTTP/1.1"));
        assert_eq!(request.header("accept"), Some(accept));
        assert_eq!(request.header("content-type"), Some("application/json"));
        let host = proxy.upstream.address.to_string();
        assert_eq!(request.header("host"), Some(&host[..]));
    }
}

#[test]
fn only_named_headers_go_upstream() {
    let settings = before(answer()).set("server.forward_headers", "['X-Team']");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = [
        ("openai-organization", "org"),
        ("openai-project", "proj"),
        ("traceparent", trace),
        ("user-agent", "client/1.0"),
        ("x-team", "red"),
    ];
    let kept = [
        ("cookie", "session=1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-api-key", "secret"),
        ("proxy-authorization", "Basic eA=="),
    ];
    let all: Vec<_> = sent.iter().chain(&kept).copied().collect();
    let request = forwarded(&settings.start(), STREAM, &all);
    for (name, value) in sent {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    for (name, _) in kept {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[test]
fn configured_headers_win_over_the_clients() {
    let settings = before(answer()).upstream("headers", "{ openai-project = 'ours' }");
    let sent = [("openai-project", "theirs")];
    let request = forwarded(&settings.start(), STREAM, &sent);
    assert_eq!(request.header("openai-project"), Some("ours"));
    assert!(!request.head.contains("theirs"), "{}", request.head);
}

#[test]
fn only_the_headers_that_clients_read_come_back() {
    let body = frame(&text("one")) + &frame(&finish());
    let back = [
        ("openai-processing-ms", "12"),
        ("openai-model", "m-2"),
        ("x-ratelimit-remaining-tokens", "99"),
        ("retry-after", "1"),
    ];
    let kept = [
        ("set-cookie", "a=b"),
        ("server", "uvicorn"),
        ("x-powered-by", "x"),
        ("access-control-allow-origin", "*"),
    ];
    let mut headers = vec![
        ("content-type", "text/event-stream"),
        ("x-request-id", "theirs"),
    ];
    headers.extend(back.iter().chain(&kept));
    let proxy = before(Script::reply("200 OK", &headers, &body)).start();
    let reply = proxy.ask_with(STREAM, &[("x-request-id", "ours")]);
    for (name, value) in back {
        assert_eq!(reply.head.header(name), Some(value), "{name}");
    }
    for (name, _) in kept {
        assert_eq!(reply.head.header(name), None, "{name}");
    }
    assert_eq!(reply.head.header("x-request-id"), Some("ours"));
}

#[test]
fn one_connection_serves_one_request_after_another() {
    let gates = [(); 3].map(|()| Gate::default());
    // The end of each body comes only when the client has its sentinel.
    let shown = frame(&text("one")) + &frame(&finish());
    let answer = |gate| {
        Script::stream()
            .chunk(shown.clone() + DONE)
            .wait(gate)
            .end()
    };
    let script = answer(&gates[0]).next_request().and(answer(&gates[1]));
    let proxy = before(script.next_request().and(answer(&gates[2]))).start();
    for gate in &gates {
        proxy.open(STREAM).reply().assert_streams(&shown);
        gate.open();
        wait_until_idle(&proxy.server);
    }
    assert_eq!(proxy.upstream.counts(), (1, 3));
}
