//! What cannot be drawn, and what is said about it.

use serde_json::json;

use super::{
    Cause, Unsatisfiable,
    tests::{draws, random},
    value,
};

/// Why there is no value.
fn error(schema: &serde_json::Value) -> Unsatisfiable {
    value(schema, &mut random(0)).expect_err("no value fits")
}

#[test]
fn what_cannot_be_is_said_and_where() {
    for (schema, pointer) in [
        (
            json!({ "properties": { "a": false }, "type": "object", "required": ["a"] }),
            "/properties/a",
        ),
        (
            json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer", "minimum": 3, "maximum": 2 } } }),
            "/properties/n",
        ),
        (json!({ "type": "string", "enum": [1] }), ""),
        (
            json!({ "$defs": { "a": { "type": "string", "minLength": 3, "maxLength": 2 } }, "$ref": "#/$defs/a" }),
            "",
        ),
        (
            json!({ "type": "array", "minItems": 3, "items": { "type": "boolean" }, "uniqueItems": true }),
            "/items",
        ),
        (
            json!({ "allOf": [{ "type": "string" }, { "type": "integer" }] }),
            "",
        ),
        (
            json!({ "type": "string", "pattern": "^a$", "minLength": 2 }),
            "",
        ),
        (json!({ "not": {} }), ""),
    ] {
        let error = error(&schema);
        assert!(matches!(error.cause, Cause::Contradiction(_)), "{error}");
        assert_eq!(error.pointer, pointer, "{error}\n{schema}");
    }
}

#[test]
fn what_is_no_schema_is_said_and_where() {
    for (schema, pointer) in [
        (json!(3), ""),
        (json!({ "type": "strnig" }), "/type"),
        (
            json!({ "type": "object", "properties": { "a/b": { "type": 5 } }, "required": ["a/b"] }),
            "/properties/a~1b/type",
        ),
        (json!({ "properties": [] }), "/properties"),
        (json!({ "type": "string", "minLength": -1 }), "/minLength"),
        (json!({ "type": "string", "minLength": "3" }), "/minLength"),
        (json!({ "anyOf": {} }), "/anyOf"),
        (json!({ "enum": 3 }), "/enum"),
        (json!({ "type": "array", "items": [3] }), "/items/0"),
    ] {
        let error = error(&schema);
        assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
        assert_eq!(error.pointer, pointer, "{error}");
    }
}

#[test]
fn what_is_not_supported_is_said_and_where() {
    for (schema, pointer) in [
        (json!({ "type": "string", "pattern": r"(a)\1" }), "/pattern"),
        (json!({ "type": "string", "pattern": "(" }), "/pattern"),
        (
            json!({ "type": "string", "pattern": "(a{1000}){1000}" }),
            "/pattern",
        ),
        (
            json!({ "type": "string", "pattern": "(?=(a{1000}){1000})" }),
            "/pattern",
        ),
        (json!({ "$dynamicRef": "#x" }), "/$dynamicRef"),
    ] {
        let error = error(&schema);
        assert!(matches!(error.cause, Cause::Unsupported(_)), "{error}");
        assert_eq!(error.pointer, pointer, "{error}");
    }
    for reference in ["#/$defs/none", "other.json", "#anchor"] {
        let error = error(&json!({ "$ref": reference }));
        assert_eq!(error.cause, Cause::Unresolved(reference.to_owned()));
        assert_eq!(
            error.to_string(),
            format!("at #/$ref: the reference {reference:?} leads nowhere in this schema")
        );
    }
}

#[test]
fn a_recursion_without_an_end_is_said() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] }),
        json!({ "type": "array", "items": { "$ref": "#" }, "minItems": 1 }),
        json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#/anyOf/0" }] }),
    ] {
        assert_eq!(error(&schema).cause, Cause::Endless, "{schema}");
    }
}

#[test]
fn what_is_too_large_is_said() {
    for schema in [
        json!({ "type": "string", "minLength": 20_000 }),
        json!({ "type": "array", "minItems": 10_001 }),
        json!({ "type": "array", "minItems": 1e30 }),
        json!({ "type": "array", "minItems": 200, "items": { "type": "array", "minItems": 200 } }),
    ] {
        assert!(
            matches!(error(&schema).cause, Cause::TooLarge(_)),
            "{schema}"
        );
    }
    let choices = vec![json!({ "anyOf": [{ "minimum": 1 }] }); 500];
    let error_of_choices = error(&json!({ "type": "integer", "allOf": choices }));
    assert!(matches!(error_of_choices.cause, Cause::TooLarge(_)));
    let mut deep = json!({ "type": "null" });
    for _ in 0..70 {
        deep = json!({ "type": "array", "minItems": 1, "items": deep });
    }
    assert!(error(&deep).to_string().contains("64 levels"));
}

#[test]
fn the_deepest_values_fit_on_the_stack() {
    // As many levels and as many choices as there may be.
    let mut deep = json!({ "type": "null" });
    for level in 0..60 {
        let array = json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": deep });
        deep = match level % 2 {
            0 => json!({ "allOf": [{ "anyOf": [array] }, { "anyOf": [{}] }, { "anyOf": [true] }] }),
            _ => {
                json!({ "oneOf": [{ "anyOf": [array, { "type": "array", "maxItems": 0, "minItems": 1 }] }] })
            }
        };
    }
    draws(&deep);
    // A chain of references as long as one likes.
    let links = (0..5000).map(|n| {
        let next = format!("#/$defs/d{}", n + 1);
        (format!("d{n}"), json!({ "anyOf": [{ "$ref": next }] }))
    });
    let links: serde_json::Map<_, _> = links.collect();
    let chain = error(&json!({ "$ref": "#/$defs/d0", "$defs": links }));
    assert!(matches!(chain.cause, Cause::TooLarge(_)), "{chain}");
    let nested = "(".repeat(100_000);
    for pattern in [nested.clone(), format!("(?={nested}")] {
        let error = error(&json!({ "type": "string", "pattern": pattern }));
        assert!(matches!(error.cause, Cause::Unsupported(_)));
    }
}

#[test]
fn a_fan_of_contradictions_ends() {
    let coin = json!({ "anyOf": [{ "minimum": 1 }, { "minimum": 2 }] });
    let schema = json!({ "type": "integer", "maximum": 0, "allOf": vec![coin; 40] });
    error(&schema);
    let names: Vec<_> = (0..200).map(|n| format!("p{n}")).collect();
    let properties: serde_json::Map<_, _> = names
        .iter()
        .map(|n| (n.clone(), json!({ "$ref": "#" })))
        .collect();
    draws(&json!({ "type": ["object", "null"], "properties": properties, "required": names }));
}
