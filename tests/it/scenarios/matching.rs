//! Which scenario answers, and what it can refer to.

use serde_json::{Value, json};

use super::{SHIPPED, ask, chat, load::Folder, serve, text};

#[test]
fn every_condition_decides() {
    let conditions = [
        ("model", "{model: 'gpt-*'}"),
        ("last_user", "{last_user: needle}"),
        ("any_user", "{any_user: first}"),
        ("system", "{system: {equals: be kind}}"),
        ("tools", "{tools: [f]}"),
        ("tool_result", "{tool_result: true}"),
        ("tool_content", "{tool_content: '42'}"),
        ("turn", "{turn: 2}"),
        ("headers", "{headers: {X-Team: blue}}"),
        ("jmespath", "{jmespath: 'temperature > `1`'}"),
    ];
    let right: Value = json!({
        "model": "gpt-x", "temperature": 1.5,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "well"},
            {"role": "user", "content": [{"type": "text", "text": "a needle here"}]},
            {"role": "tool", "tool_call_id": "c", "content": "it is 42"},
        ],
    });
    let wrong = json!({"model": "other", "messages": [{"role": "user", "content": "x"}]});
    for (name, condition) in conditions {
        let folder = Folder::new(&format!("condition-{name}"));
        folder.write(
            "a.yaml",
            &format!("match: {condition}\nreply: {{text: matched}}"),
        );
        let server = serve(&folder.name(), "mock.on_no_match = 'error'\n");
        let reply = ask(server.address(), &right, &[("x-team", "the blue one")]);
        assert_eq!(text(&reply), "matched", "{name}");
        let reply = ask(server.address(), &wrong, &[]);
        reply.assert_refused(404, "mock_no_match");
        assert_eq!(reply.head.header("x-should-retry"), Some("false"));
        let message = format!("a (its `{name}` does not hold)");
        assert!(reply.text().contains(&message), "{}", reply.text());
    }
}

#[test]
fn the_highest_priority_answers_and_a_tie_is_an_error() {
    let folder = Folder::new("priority");
    folder.write("low.yaml", "match: {last_user: a}\nreply: {text: low}");
    folder.write(
        "high.yaml",
        "match: {last_user: b}\npriority: 2\nreply: {text: high}",
    );
    folder.write(
        "tie.yaml",
        "match: {last_user: c}\npriority: 2\nreply: {text: tie}",
    );
    let server = serve(&folder.name(), "");
    let said = |asked: &str| ask(server.address(), &chat(asked), &[]);
    assert_eq!(text(&said("ab")), "high");
    assert_eq!(text(&said("a")), "low");
    let tie = said("abc");
    tie.assert_refused(400, "mock_ambiguous");
    assert!(
        tie.text().contains("`high` and `tie` both match"),
        "{}",
        tie.text()
    );
    let named = ask(
        server.address(),
        &chat("abc"),
        &[("x-mock-scenario", "low")],
    );
    assert_eq!(text(&named), "low");
}

#[test]
fn texts_refer_to_the_request_and_what_was_captured() {
    let folder = Folder::new("templates");
    folder.write(
        "a.yaml",
        "match: {last_user: {regex: '(?<verb>\\w+) (\\w+)'}}\nreply:\n  blocks:\n    - text: >-\n        \
         {{ captures[0] }}|{{ named.verb }}|{{ captures[2] }}|{{ request.model }}|{{ turn }}|{{ choice }}|{{ last_user | upper }}\n    \
         - tool_calls: [{name: f, id: call_1, arguments: {x: '{{ named.verb }}', deep: ['{{ 1 + 1 }}', 3]}}]",
    );
    folder.write(
        "b.yaml",
        "priority: 1\nmatch: {last_user: broken}\nreply: {text: '{{ nothing.here }}'}",
    );
    folder.write(
        "c.yaml",
        "priority: 1\nmatch: {last_user: endless}\nreply: {text: '{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}'}",
    );
    let server = serve(&folder.name(), "");
    let mut body = chat("eat apples");
    body["n"] = 2.into();
    let reply = ask(server.address(), &body, &[]).json();
    let said = |choice: usize| reply["choices"][choice]["message"]["content"].clone();
    assert_eq!(said(0), "eat apples|eat|apples|gpt-4o-mini|1|0|EAT APPLES");
    assert_eq!(said(1), "eat apples|eat|apples|gpt-4o-mini|1|1|EAT APPLES");
    let call = &reply["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["id"], "call_1");
    assert_eq!(
        call["function"]["arguments"],
        r#"{"x":"eat","deep":["2",3]}"#
    );
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    for (asked, why) in [("broken", "undefined value"), ("endless", "fuel")] {
        let reply = ask(server.address(), &chat(asked), &[]);
        reply.assert_refused(500, "mock_error");
        assert!(reply.text().contains(why), "{}", reply.text());
    }
}

#[test]
fn what_is_told_beside_an_answer_can_be_set() {
    let folder = Folder::new("beside");
    folder.write(
        "a.yaml",
        "reply:\n  text: hi\n  finish_reason: content_filter\n  service_tier: flex\n  system_fingerprint: fp_x\n  \
         logprobs: true\n  usage: {prompt_tokens: 5, completion_tokens: 6, cost: 0.5}",
    );
    let server = serve(&folder.name(), "");
    let reply = ask(server.address(), &chat("x"), &[]).json();
    assert_eq!(reply["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(reply["service_tier"], "flex");
    assert_eq!(reply["system_fingerprint"], "fp_x");
    assert_eq!(reply["usage"]["total_tokens"], 11);
    assert_eq!(reply["usage"]["cost"], 0.5);
    assert_eq!(reply["choices"][0]["logprobs"]["content"][0]["token"], "hi");
}

#[test]
fn raw_bytes_are_sent_as_they_are_and_logged_so() {
    let folder = Folder::new("raw");
    folder.write(
        "a.yaml",
        "reply:\n  raw:\n    - {text: \"data: {\\\"id\\\":\\\"theirs\\\"\"}\n    - {after: 50ms, base64: /wA=}\n    - {text: \"}\\n\\n\"}",
    );
    let server = serve(&folder.name(), "");
    let reply = ask(server.address(), &super::streamed(chat("x")), &[]);
    let expected = [&b"data: {\"id\":\"theirs\""[..], &[0xFF, 0], b"}\n\n"].concat();
    assert_eq!(reply.body, expected);
    let id = reply.head.header("x-completion-id").expect("an id");
    let path = format!("/v1/chat/completions/{id}?stream=true");
    let again = crate::http::fetch(server.address(), &crate::http::request("GET", &path, &[]));
    assert_eq!(again.body, expected);
}

#[test]
fn an_error_of_a_scenario_has_its_words_and_headers() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "rate limit"}]});
    let reply = ask(SHIPPED.address(), &body, &[]);
    reply.assert_refused(429, "rate_limit_exceeded");
    assert_eq!(reply.head.header("retry-after"), Some("2"));
    assert!(reply.text().contains("Rate limit reached for m:"));
}

#[test]
fn limits_of_the_request_cut_a_scenario_too() {
    let address = SHIPPED.address();
    let mut body = chat("Please cut me off.");
    body["max_tokens"] = 3.into();
    let reply = ask(address, &body, &[("x-mock-fault", "")]).json();
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 3);
    let mut body = chat("Please cut me off.");
    body["stop"] = json!(["few"]);
    let reply = ask(address, &body, &[("x-mock-fault", "")]).json();
    assert_eq!(
        reply["choices"][0]["message"]["content"],
        "This connection breaks after a "
    );
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
}

#[test]
fn log_probabilities_are_those_of_the_tokens_that_were_sent() {
    let mut body = chat("Hello");
    body["logprobs"] = true.into();
    body["top_logprobs"] = 3.into();
    let reply = ask(SHIPPED.address(), &body, &[]).json();
    let content = reply["choices"][0]["logprobs"]["content"]
        .as_array()
        .expect("tokens");
    let text: String = content
        .iter()
        .filter_map(|token| token["token"].as_str())
        .collect();
    assert_eq!(text, reply["choices"][0]["message"]["content"]);
    for token in content {
        let top = token["top_logprobs"].as_array().expect("a list");
        assert_eq!(top.len(), 3);
        assert_eq!(top[0]["token"], token["token"]);
        let logprobs: Vec<_> = top.iter().filter_map(|t| t["logprob"].as_f64()).collect();
        assert!(
            logprobs.is_sorted_by(|a, b| a >= b) && logprobs[0] <= 0.0,
            "{logprobs:?}"
        );
    }
}
