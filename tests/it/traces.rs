//! Spans as a collector gets them.

use serde_json::Value;
use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{STREAM, WHOLE, completion, finish, frame, role, text, usage},
    gate::wait_until,
    http::{Connection, fetch, post, request},
    proxy::wait_until_idle,
    upstream::{Script, Upstream},
};

const PARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

fn good() -> Script {
    let script = Script::stream().event(&role()).event(&text("Hello"));
    script.event(&finish()).event(&usage()).done()
}

fn refusing() -> Script {
    Script::reply("503 Busy", &[("content-type", "application/json")], "{}")
}

/// A server before these upstreams, and the collector that it sends its spans to.
struct Traced {
    server: TestServer,
    upstreams: Vec<Upstream>,
    collector: Upstream,
}

impl Traced {
    fn before(scripts: Vec<Script>, more: &str) -> Self {
        Self::sending_to(
            Script::reply("200 OK", &[("connection", "close")], "{}"),
            scripts,
            more,
        )
    }

    fn with_model(scripts: Vec<Script>, model: &str) -> Self {
        let collector = Script::reply("200 OK", &[("connection", "close")], "{}");
        Self::start(collector, scripts, ("", model))
    }

    fn sending_to(collector: Script, scripts: Vec<Script>, more: &str) -> Self {
        Self::start(collector, scripts, (more, ""))
    }

    fn start(collector: Script, scripts: Vec<Script>, (more, model): (&str, &str)) -> Self {
        let collector = Upstream::play(collector);
        let upstreams: Vec<_> = scripts.into_iter().map(Upstream::play).collect();
        let entries = upstreams
            .iter()
            .map(|upstream| format!("{{ base_url = 'http://{}/v1' }}", upstream.address));
        let entries = entries.collect::<Vec<_>>().join(", ");
        let settings = format!(
            "server.workers = 1\nstream.commit_after = '1m'\n{more}\n[otlp]\n\
             endpoint = 'http://{}/base'\nheaders = {{ x-key = 'k' }}\nservice_name = 'here'\n\
             [[models]]\nname = '*'\nupstreams = [{entries}]\nbetween = '300ms'\n{model}",
            collector.address
        );
        Self {
            server: spawn(&settings).expect("valid settings"),
            upstreams,
            collector,
        }
    }

    fn ask(&self, body: &str, headers: &[(&str, &str)]) {
        fetch(self.server.address(), &post(body, headers));
        wait_until_idle(&self.server);
    }

    /// All spans, in the order in which they ended; what waits is sent when the server stops.
    fn spans(self) -> (Vec<Span>, Vec<Upstream>) {
        drop(self.server);
        let mut spans = Vec::new();
        for request in self.collector.requests() {
            assert!(request.head.starts_with("POST /base/v1/traces HTTP/1.1"));
            assert_eq!(request.header("content-type"), Some("application/json"));
            assert_eq!(request.header("x-key"), Some("k"));
            assert!(!request.body.contains("Hello") && !request.body.contains("\"Hi\""));
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            let resource = &body["resourceSpans"][0];
            let name = &resource["resource"]["attributes"][0]["value"]["stringValue"];
            assert_eq!(name, "here");
            let sent = resource["scopeSpans"][0]["spans"].as_array();
            spans.extend(sent.expect("spans").iter().cloned().map(Span));
        }
        (spans, self.upstreams)
    }
}

struct Span(Value);

impl Span {
    /// The value of an attribute, null if there is none.
    fn get(&self, key: &str) -> Value {
        let attributes = self.0["attributes"].as_array().expect("a list");
        let found = attributes.iter().find(|pair| pair["key"] == key);
        let value = found.and_then(|pair| pair["value"].as_object()?.values().next().cloned());
        value.unwrap_or_default()
    }

    fn member(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn is_error(&self) -> bool {
        self.0["status"]["code"] == 2
    }

    fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.member("traceId"), self.member("spanId"))
    }
}

#[test]
fn a_completion_is_a_span_within_the_clients_and_around_the_upstreams() {
    let traced = Traced::before(vec![good()], "");
    traced.ask(STREAM, &[PARENT]);
    let (spans, upstreams) = traced.spans();
    let [attempt, whole] = &spans[..] else {
        panic!("{} spans", spans.len());
    };
    assert_eq!(whole.member("name"), "chat m");
    assert_eq!(
        (&whole.0["kind"], &attempt.0["kind"]),
        (&2.into(), &3.into())
    );
    assert!(PARENT.1.contains(whole.member("traceId")));
    assert_eq!(whole.member("parentSpanId"), "b7ad6b7169203331");
    assert_eq!(attempt.member("traceId"), whole.member("traceId"));
    assert_eq!(attempt.member("parentSpanId"), whole.member("spanId"));
    let request = upstreams[0].request();
    assert_eq!(
        request.header("traceparent"),
        Some(&attempt.traceparent()[..])
    );
    for (key, value) in [
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.request.model", "m".into()),
        ("gen_ai.request.stream", true.into()),
        ("gen_ai.response.model", "m".into()),
        ("gen_ai.usage.input_tokens", "3".into()),
        ("gen_ai.usage.output_tokens", "2".into()),
        ("gen_ai.provider.name", "openai".into()),
        ("server.address", "127.0.0.1".into()),
        (
            "server.port",
            upstreams[0].address.port().to_string().into(),
        ),
        ("tokenfall.usage.source", "reported".into()),
        ("error.type", Value::Null),
    ] {
        assert_eq!(whole.get(key), value, "{key}");
    }
    let reasons = whole.get("gen_ai.response.finish_reasons");
    assert_eq!(reasons["values"][0]["stringValue"], "stop", "{reasons}");
    assert!(
        whole
            .get("gen_ai.response.id")
            .as_str()
            .is_some_and(|id| id.starts_with("chatcmpl-"))
    );
    let first = whole.get("gen_ai.response.time_to_first_chunk");
    assert!(
        first.as_f64().is_some_and(|seconds| seconds > 0.0),
        "{first}"
    );
    assert!(!whole.is_error() && !attempt.is_error());
}

#[test]
fn a_failover_is_an_attempt_that_failed_and_one_that_did_not() {
    let traced = Traced::before(vec![refusing(), Script::json(&completion())], "");
    traced.ask(WHOLE, &[]);
    let (spans, upstreams) = traced.spans();
    let [first, second, whole] = &spans[..] else {
        panic!("{} spans", spans.len());
    };
    assert_eq!(first.get("error.type"), "503");
    assert!(first.is_error() && !second.is_error() && !whole.is_error());
    for (attempt, upstream) in [first, second].into_iter().zip(&upstreams) {
        let port = upstream.address.port().to_string();
        assert_eq!(attempt.get("server.port"), port);
        assert_eq!(attempt.member("parentSpanId"), whole.member("spanId"));
        let request = upstream.request();
        assert_eq!(
            request.header("traceparent"),
            Some(&attempt.traceparent()[..])
        );
    }
    assert_eq!(whole.member("parentSpanId"), "");
    assert_eq!(whole.get("tokenfall.attempts"), "2");
    let reasons = whole.get("gen_ai.response.finish_reasons");
    assert_eq!(reasons["values"][0]["stringValue"], "stop", "{reasons}");
}

#[test]
fn a_failure_says_its_cause_and_a_cancel_is_none() {
    let broken = Script::stream().event(&text("Hello")).end();
    let traced = Traced::before(vec![broken], "");
    traced.ask(STREAM, &[]);
    let (spans, _) = traced.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(span.get("error.type"), "upstream_truncated");
        assert!(span.is_error());
    }

    let endless = Script::stream().event(&text("Hello")).linger();
    let traced = Traced::before(vec![endless], "stream.on_disconnect = 'cancel'");
    let mut client = Connection::open(traced.server.address());
    client.send(&post(STREAM, &[]));
    client.head();
    client.chunks_until(&frame(&text("Hello"))[..20]);
    drop(client);
    wait_until_idle(&traced.server);
    let (spans, _) = traced.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(span.get("error.type"), "cancelled");
        assert!(!span.is_error());
    }
}

#[test]
fn of_a_shared_answer_the_one_who_asked_first_has_the_upstreams() {
    let traced = Traced::with_model(vec![refusing(), good()], "cache = { share = 'finished' }");
    let same = STREAM.replacen('{', r#"{"temperature":0,"#, 1);
    traced.ask(&same, &[PARENT]);
    traced.ask(&same, &[]);
    let (spans, upstreams) = traced.spans();
    let [first, second, miss, hit] = &spans[..] else {
        panic!("{} spans", spans.len());
    };
    for attempt in [first, second] {
        assert_eq!(attempt.member("parentSpanId"), miss.member("spanId"));
        assert_eq!(attempt.member("traceId"), miss.member("traceId"));
    }
    assert!(first.is_error() && !second.is_error() && !miss.is_error());
    let request = upstreams[1].request();
    assert_eq!(
        request.header("traceparent"),
        Some(&second.traceparent()[..])
    );
    assert_eq!(miss.member("parentSpanId"), "b7ad6b7169203331");
    assert_eq!(
        (miss.get("tokenfall.cache"), hit.get("tokenfall.cache")),
        ("miss".into(), "hit".into())
    );
    assert_eq!(miss.get("server.port"), second.get("server.port"));
    assert_eq!(hit.get("gen_ai.provider.name"), "tokenfall");
    assert_eq!(hit.get("tokenfall.usage.source"), "cached");
    assert_ne!(hit.member("traceId"), miss.member("traceId"));
}

#[test]
fn what_its_parent_did_not_sample_is_not_sent_but_told_on() {
    let traced = Traced::before(vec![good()], "");
    let parent = PARENT.1.replace("-01", "-00");
    traced.ask(STREAM, &[("traceparent", &parent)]);
    let (spans, upstreams) = traced.spans();
    assert_eq!(spans.len(), 0);
    let request = upstreams[0].request();
    let told = request.header("traceparent").expect("a header");
    assert!(
        told.starts_with(&parent[..36]) && told.ends_with("-00"),
        "{told}"
    );
    assert_ne!(told, parent);
}

#[test]
fn without_a_collector_the_clients_header_goes_on_as_it_came() {
    let proxy = crate::proxy::before(good()).start();
    proxy.ask_with(STREAM, &[PARENT]);
    let request = proxy.upstream.request();
    assert_eq!(request.header("traceparent"), Some(PARENT.1));
}

#[test]
fn spans_that_a_collector_refuses_are_counted() {
    let refusal = Script::reply("400 No", &[("connection", "close")], "{}");
    let traced = Traced::sending_to(refusal, vec![good()], "");
    traced.ask(STREAM, &[]);
    wait_until("the spans to be given up", || {
        let metrics = fetch(traced.server.address(), &request("GET", "/metrics", &[]));
        let dropped = "tokenfall_spans_dropped_total{cause=\"export\"} 2";
        metrics.text().contains(dropped)
    });
}
