//! Answers that no scenario says: values of schemas, calls of tools.

use serde_json::{Value, json};

use super::{SHIPPED, ask, chat, streamed};

/// What somebody who builds a user interface asks for: recursive, with unions and enums.
fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "email", "kind", "score", "children", "note"],
        "properties": {
            "title": {"type": "string", "minLength": 3},
            "email": {"type": "string", "format": "email"},
            "kind": {"enum": ["page", "list", "button"]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 3},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    })
}

fn structured(seed: u64) -> Value {
    let mut body = chat("Draw me a page.");
    body["seed"] = seed.into();
    body["response_format"] = json!({
        "type": "json_schema",
        "json_schema": {"name": "page", "strict": true, "schema": schema()},
    });
    body
}

fn tools(choice: Value) -> Value {
    let mut body = chat("Please use look up and then wave.");
    body["tools"] = json!([
        {"type": "function", "function": {"name": "wave"}},
        {"type": "function", "function": {"name": "look_up", "parameters": schema()}},
        {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}},
    ]);
    body["tool_choice"] = choice;
    body
}

/// The names of the tools that are called, and their arguments.
fn calls(body: &Value) -> Vec<(String, Value)> {
    let reply = ask(SHIPPED.address(), body, &[]).json();
    let choice = &reply["choices"][0];
    let calls = choice["message"]["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let reason = if calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    assert_eq!(choice["finish_reason"], reason, "{choice}");
    let read = |call: &Value| {
        let text = call["function"]["arguments"].as_str().expect("a text");
        let name = call["function"]["name"].as_str().expect("a name");
        (name.to_owned(), serde_json::from_str(text).expect("JSON"))
    };
    calls.iter().map(read).collect()
}

#[test]
fn a_value_fits_the_schema_that_is_asked_for() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let mut values = Vec::new();
    for seed in 0..20 {
        let body = structured(seed);
        let reply = ask(SHIPPED.address(), &body, &[]);
        let text = super::text(&reply);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(validator.is_valid(&value), "{value}");
        let chunks = ask(SHIPPED.address(), &streamed(body), &[]).chunks();
        let said: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(said, text, "streamed or not");
        assert!(chunks.len() > 10, "in tokens");
        values.push(text);
    }
    values.dedup();
    assert!(values.len() > 10, "seeds differ");
}

#[test]
fn json_is_an_object_where_no_schema_is_given() {
    let mut body = chat("Anything, in JSON.");
    body["response_format"] = json!({"type": "json_object"});
    let text = super::text(&ask(SHIPPED.address(), &body, &[]));
    assert!(
        serde_json::from_str::<Value>(&text)
            .expect("JSON")
            .is_object()
    );
}

#[test]
fn tools_are_called_as_the_choice_says() {
    let names = |choice: Value| -> Vec<String> {
        calls(&tools(choice))
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    assert_eq!(
        names(json!("auto")),
        ["wave", "look_up"],
        "those that the user names"
    );
    assert_eq!(names(json!("required")), ["wave", "look_up"]);
    assert_eq!(names(json!("none")), [] as [&str; 0]);
    let named = json!({"type": "function", "function": {"name": "other"}});
    assert_eq!(names(named), ["other"]);
    let mut body = tools(json!("required"));
    body["messages"][0]["content"] = "Do something.".into();
    assert_eq!(
        calls(&body)[0].0,
        "wave",
        "the first where the user names none"
    );
    let mut body = tools(json!("auto"));
    body["parallel_tool_calls"] = false.into();
    assert_eq!(calls(&body).len(), 1);
    let mut body = tools(json!("auto"));
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "done"});
    body["messages"]
        .as_array_mut()
        .expect("messages")
        .push(result);
    assert_eq!(calls(&body), [], "after a result there is an answer");
}

#[test]
fn arguments_fit_the_tool_in_every_choice() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    for (name, arguments) in calls(&tools(json!("auto"))) {
        match &name[..] {
            "wave" => assert_eq!(arguments, json!({})),
            _ => assert!(validator.is_valid(&arguments), "{arguments}"),
        }
    }
    let mut body = tools(json!("required"));
    body["n"] = 3.into();
    let reply = ask(SHIPPED.address(), &body, &[]).json();
    let ids: std::collections::BTreeSet<String> = (0..3)
        .map(|index| {
            let call = &reply["choices"][index]["message"]["tool_calls"][0];
            call["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 3, "ids differ");
}

#[test]
fn a_schema_that_nothing_fits_is_refused_with_its_place() {
    let mut body = structured(1);
    body["response_format"]["json_schema"]["schema"]["properties"]["title"] =
        json!({"type": "string", "minLength": 5, "maxLength": 2});
    let reply = ask(SHIPPED.address(), &body, &[]);
    assert_eq!(reply.head.status, 400);
    let error = reply.json()["error"].clone();
    assert_eq!(error["param"], "response_format.json_schema.schema");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("#/properties/title"), "{message}");
    let cases = [
        (json!({"type": "xml"}), "response_format.type"),
        (
            json!({"type": "json_schema"}),
            "response_format.json_schema",
        ),
        (json!("text"), "response_format"),
    ];
    for (format, field) in cases {
        let mut body = chat("x");
        body["response_format"] = format;
        let reply = ask(SHIPPED.address(), &body, &[]);
        assert_eq!(reply.head.status, 400, "{field}");
        assert_eq!(reply.json()["error"]["param"], field);
    }
}
