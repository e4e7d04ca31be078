//! What was asked and sent, each session for itself.

use serde_json::{Value, json};
use tokenfall::testing::spawn;

use super::{SHIPPED, ask, chat, serve, streamed};
use crate::{
    http::{fetch, request},
    reply::Reply,
};

fn on_mock(method: &str, path: &str, session: &str, body: Option<&Value>) -> Reply {
    let text = body.map(Value::to_string).unwrap_or_default();
    let length = text.len().to_string();
    let headers = [
        ("x-mock-session", session),
        ("content-type", "application/json"),
        ("content-length", &length[..]),
    ];
    let bytes = [request(method, path, &headers), text.into_bytes()].concat();
    fetch(SHIPPED.address(), &bytes)
}

#[test]
fn requests_are_written_down_and_counted_for_each_session() {
    let headers = |session| {
        [
            ("x-mock-session", session),
            ("authorization", "Bearer sk-secret"),
        ]
    };
    for text in ["Hello", "Hello again", "What?"] {
        ask(SHIPPED.address(), &streamed(chat(text)), &headers("one"));
    }
    ask(SHIPPED.address(), &chat("Hello"), &headers("two"));
    let journal = on_mock("GET", "/_mock/requests", "one", None);
    assert!(!journal.text().contains("sk-secret"));
    let journal = journal.json();
    let entries = journal["data"].as_array().expect("a list");
    assert_eq!(entries.len(), 3);
    let first = &entries[0];
    assert_eq!(first["scenario"], "greeting");
    assert_eq!(first["request"]["body"]["messages"][0]["content"], "Hello");
    let sent = &first["sent"];
    assert_eq!(sent["end"], "finished");
    let count = sent["events"].as_u64().expect("a count");
    assert!(count > 10);
    for times in ["planned_ms", "sent_ms"] {
        let times = sent[times].as_array().expect("times");
        assert_eq!(times.len() as u64, count, "{sent}");
    }
    let verify = |session, body: Value| on_mock("POST", "/_mock/verify", session, Some(&body));
    let greeted = json!({"match": {"last_user": "Hello"}, "scenario": "greeting"});
    assert_eq!(verify("one", greeted.clone()).json()["count"], 2);
    assert_eq!(verify("two", greeted).json()["count"], 1);
    let wrong = verify("one", json!({"match": {"last_user": "Hello"}, "count": 3}));
    wrong.assert_refused(406, "not_verified");
    assert!(
        wrong
            .text()
            .contains("Expected exactly 3 requests that match, found 2 of 3")
    );
    assert_eq!(
        verify("one", json!({"at_least": 3, "at_most": 3}))
            .head
            .status,
        200
    );
    let bad = verify("one", json!({"match": {"last_user": {"regex": "("}}}));
    assert_eq!(bad.head.status, 400);
    assert!(bad.text().contains("match.last_user"), "{}", bad.text());
    assert_eq!(
        on_mock("DELETE", "/_mock/requests", "one", None)
            .head
            .status,
        204
    );
    assert_eq!(verify("one", json!({})).json()["count"], 0);
    assert_eq!(verify("two", json!({})).json()["count"], 1);
}

#[test]
fn a_session_has_scenarios_and_sequences_of_its_own() {
    let scenarios = json!({"scenarios": {
        "steps": {
            "match": {"last_user": "next"},
            "sequence": [{"text": "one"}, {"text": "two"}, {"error": {"status": 500}}],
            "then": "first",
        },
    }});
    let set = |session| on_mock("PUT", "/_mock/scenarios", session, Some(&scenarios));
    assert_eq!(set("left").json()["count"], 1);
    assert_eq!(set("right").json()["count"], 1);
    let next = |session| {
        ask(
            SHIPPED.address(),
            &chat("next"),
            &[("x-mock-session", session)],
        )
    };
    assert_eq!(super::text(&next("left")), "one");
    assert_eq!(super::text(&next("left")), "two");
    assert_eq!(super::text(&next("right")), "one");
    assert_eq!(next("left").head.status, 500);
    assert_eq!(super::text(&next("left")), "one");
    assert!(super::text(&next("other")).starts_with("You said"));
    assert_eq!(
        on_mock("POST", "/_mock/reset", "left", None).head.status,
        204
    );
    assert!(super::text(&next("left")).starts_with("You said"));
    assert_eq!(super::text(&next("right")), "two");
}

#[test]
fn scenarios_that_cannot_be_are_refused_and_change_nothing() {
    let cases = [
        (json!({"scenarios": {"a": {}}}), "scenarios.a"),
        (json!({"scenarios": {"a": {"reply": {}}}}), "exactly one of"),
        (
            json!({"scenarios": {"a": {"reply": {"text": "{{"}}}}),
            "scenarios.a.reply",
        ),
        (
            json!({"scenarios": {"a": {"reply": {"text": "x"}}, "b": {"reply": {"text": "y"}}}}),
            "same priority",
        ),
        (json!({"scenarios": {"a": {"colour": 1}}}), "colour"),
    ];
    for (body, expected) in cases {
        let reply = on_mock("PUT", "/_mock/scenarios", "refused", Some(&body));
        assert_eq!(reply.head.status, 400, "{body}: {}", reply.text());
        assert!(reply.text().contains(expected), "{body}: {}", reply.text());
    }
    let everyone = json!({"scenarios": {}});
    let reply = on_mock("PUT", "/_mock/scenarios", "", Some(&everyone));
    assert_eq!(reply.head.status, 400, "{}", reply.text());
}

#[test]
fn the_journal_has_a_bound_and_can_be_off() {
    for (entries, kept) in [(3, 3), (0, 0)] {
        let server = serve("", &format!("mock.journal = {entries}\n"));
        for number in 0..5 {
            ask(server.address(), &chat(&number.to_string()), &[]);
        }
        let journal = fetch(server.address(), &request("GET", "/_mock/requests", &[])).json();
        let entries = journal["data"].as_array().expect("a list");
        assert_eq!(entries.len(), kept);
        if let Some(first) = entries.first() {
            assert_eq!(first["number"], 3);
        }
    }
}

#[test]
fn it_is_there_only_where_all_is_a_mock_and_for_admins_where_keys_are() {
    let proxy = "[[models]]\nname = 'x'\nupstreams = [{ base_url = 'http://127.0.0.1:9' }]";
    let proxy = spawn(proxy).expect("valid settings");
    let reply = fetch(proxy.address(), &request("GET", "/_mock/requests", &[]));
    reply.assert_refused(404, "unknown_url");
    let keys = "[auth]\nkeys = [{ name = 'a', key = 'admin-key', admin = true }, \
                { name = 'b', key = 'plain-key' }]";
    let server = spawn(keys).expect("valid settings");
    let with = |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", &bearer[..])];
        fetch(
            server.address(),
            &request("GET", "/_mock/requests", &headers),
        )
        .head
        .status
    };
    assert_eq!(
        (with("admin-key"), with("plain-key"), with("other")),
        (200, 403, 401)
    );
}

#[test]
fn virtual_time_waits_for_nothing_and_tells_the_plan() {
    let server = serve("", "mock.virtual_time = true\n");
    let start = std::time::Instant::now();
    let headers = [
        ("x-mock-profile", "local"),
        ("x-mock-fault", "stall@event=3,for=1h"),
    ];
    let reply = ask(server.address(), &streamed(chat("Hi")), &headers);
    assert_eq!(reply.head.status, 200);
    assert!(start.elapsed() < std::time::Duration::from_secs(60));
    let journal = fetch(server.address(), &request("GET", "/_mock/requests", &[])).json();
    let sent = &journal["data"][0]["sent"];
    let planned = sent["planned_ms"].as_array().expect("times");
    assert_eq!(planned[0], 800.0);
    // 15 tokens a second.
    let gap = planned[4].as_f64().expect("a time") - planned[3].as_f64().expect("a time");
    assert!((gap - 1000.0 / 15.0).abs() < 0.01, "{gap}");
    assert_eq!(sent["faults"][0], "stall@event=3,for=1h");
}
