//! Arrays, objects, and schemas that are put together from others.

use serde_json::{Value, json};

use super::{
    arguments,
    tests::{draws, has, random},
};

#[test]
fn arrays_have_the_items_asked_for() {
    for schema in [
        json!({ "items": { "type": "integer" }, "minItems": 5, "maxItems": 5 }),
        json!({ "items": { "type": "string" }, "maxItems": 0 }),
        json!({ "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": false }),
        json!({ "prefixItems": [{ "const": 1 }], "items": { "const": 2 }, "minItems": 4 }),
        json!({ "items": { "enum": [1, 2, 3, 4, 5, 6] }, "uniqueItems": true, "minItems": 6 }),
        json!({ "items": { "type": "boolean" }, "uniqueItems": true, "minItems": 2 }),
        json!({ "items": { "type": "string" }, "uniqueItems": true, "minItems": 60 }),
        json!({ "items": { "type": "integer" }, "contains": { "minimum": 90 }, "minContains": 2 }),
        json!({ "contains": { "const": "x" }, "maxContains": 1 }),
        json!({ "items": false }),
        json!({ "items": { "not": {} } }),
    ] {
        draws(&json!({ "type": "array", "allOf": [schema] }));
    }
}

#[test]
fn required_properties_are_there_and_others_by_chance() {
    let schema = json!({
        "type": "object",
        "properties": { "b": { "type": "integer" }, "a": { "type": "null" }, "c": false },
        "required": ["a", "z"],
    });
    let values = draws(&schema);
    assert!(has(&values, |value| value.get("b").is_some()));
    assert!(has(&values, |value| value.get("b").is_none()));
    assert!(!has(&values, |value| value.get("c").is_some()));
    let with_all = values.iter().find(|value| value.get("b").is_some());
    let names: Vec<_> = with_all
        .and_then(Value::as_object)
        .expect("one")
        .keys()
        .collect();
    assert_eq!(names, ["b", "a", "z"], "in the schema's order");
}

#[test]
fn maps_have_entries() {
    for schema in [
        json!({ "additionalProperties": { "type": "integer" } }),
        json!({ "additionalProperties": { "type": "integer" }, "minProperties": 20 }),
        json!({ "patternProperties": { "^x-[a-z]{3}$": { "type": "string" } }, "additionalProperties": false }),
        json!({ "propertyNames": { "pattern": "^[A-Z]{3}$" }, "additionalProperties": { "const": 1 } }),
        json!({ "properties": { "a": true, "b": true, "c": true }, "minProperties": 2, "maxProperties": 2 }),
        json!({ "properties": { "a": true }, "minProperties": 3 }),
    ] {
        let values = draws(&json!({ "type": "object", "allOf": [schema] }));
        assert!(
            values
                .iter()
                .all(|value| !value.as_object().expect("a map").is_empty())
        );
    }
    assert_eq!(draws(&json!({ "type": "object" }))[0], json!({}));
}

#[test]
fn properties_bring_those_they_depend_on() {
    for schema in [
        json!({ "dependentRequired": { "a": ["b"] } }),
        json!({ "dependentSchemas": { "a": { "required": ["b"] } } }),
    ] {
        let properties = json!({ "a": { "type": "integer" }, "b": { "type": "integer" } });
        draws(&json!({ "type": "object", "properties": properties, "allOf": [schema] }));
    }
}

#[test]
fn branches_are_all_taken() {
    let schema = json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] });
    let values = draws(&schema);
    assert!(has(&values, Value::is_string) && has(&values, Value::is_i64));
    let beside = json!({ "anyOf": [{ "type": "integer" }, { "minimum": 7 }], "type": "number", "maximum": 9 });
    draws(&beside);
    let only_one_can =
        json!({ "type": "string", "anyOf": [{ "type": "integer" }, { "minLength": 2 }] });
    draws(&only_one_can);
}

#[test]
fn exactly_one_branch_of_one_of_holds() {
    for schema in [
        json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] }),
        json!({ "oneOf": [{ "required": ["a"] }, { "required": ["b"] }], "type": "object", "properties": { "a": true, "b": true } }),
        json!({ "type": "integer", "oneOf": [{ "multipleOf": 3 }, { "multipleOf": 5 }] }),
        json!({ "oneOf": [{ "type": "object", "properties": { "kind": { "const": "a" } }, "required": ["kind"] }, { "type": "object", "properties": { "kind": { "const": "b" }, "n": { "type": "integer" } }, "required": ["kind", "n"] }] }),
    ] {
        draws(&schema);
    }
}

#[test]
fn all_of_holds_at_once() {
    for schema in [
        json!({ "allOf": [{ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] }, { "properties": { "a": { "minimum": 200 }, "b": { "const": 1 } }, "required": ["b"] }] }),
        json!({ "allOf": [{ "anyOf": [{ "const": 1 }, { "const": 2 }] }, { "anyOf": [{ "const": 2 }, { "const": 3 }] }] }),
        json!({ "allOf": [{ "type": ["string", "null"] }, { "type": ["null", "integer"] }] }),
    ] {
        draws(&schema);
    }
}

#[test]
fn conditions_are_followed() {
    let schema = json!({
        "type": "object",
        "properties": { "kind": { "enum": ["a", "b"] }, "n": { "type": "integer" } },
        "required": ["kind"],
        "if": { "properties": { "kind": { "const": "a" } } },
        "then": { "required": ["n"] },
        "else": { "not": { "required": ["n"] } },
    });
    let values = draws(&schema);
    assert!(has(&values, |v| v["kind"] == "a") && has(&values, |v| v["kind"] == "b"));
}

#[test]
fn references_lead_into_the_schema() {
    for schema in [
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "integer" } } }),
        json!({ "$ref": "#/definitions/a~1b", "definitions": { "a/b": { "type": "integer" } } }),
        json!({ "$ref": "#/$defs/a%20b", "$defs": { "a b": { "type": "integer" } } }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "const": 3 } } }),
        json!({ "$ref": "#/$defs/a", "minimum": 500, "$defs": { "a": { "type": "integer" } } }),
    ] {
        assert!(draws(&schema)[0].is_number());
    }
}

#[test]
fn a_recursion_ends_by_its_shortest_way() {
    let ways_out = [
        json!({ "next": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] } }),
        json!({ "next": { "type": ["object", "null"], "$ref": "#/$defs/either" } }),
        json!({ "next": { "type": "array", "items": { "$ref": "#" } } }),
    ];
    for properties in ways_out {
        let either = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#" }] });
        let schema = json!({ "type": "object", "properties": properties, "required": ["next"], "$defs": { "either": either } });
        let values = draws(&schema);
        assert!(has(&values, |value| value["next"].is_object()
            || value["next"][0].is_object()));
        assert!(values.iter().all(|value| value.to_string().len() < 2000));
    }
    // Left out where it is optional.
    draws(&json!({ "type": "object", "properties": { "next": { "$ref": "#" } } }));
}

#[test]
fn arguments_are_always_an_object() {
    fn draw(parameters: Option<&Value>) -> Value {
        arguments(parameters, &mut random(1)).expect("arguments")
    }
    assert_eq!(draw(None), json!({}));
    assert_eq!(draw(Some(&Value::Null)), json!({}));
    assert_eq!(draw(Some(&json!({}))), json!({}));
    let parameters = json!({ "properties": { "city": { "const": "Oslo" } }, "required": ["city"] });
    assert_eq!(draw(Some(&parameters)), json!({ "city": "Oslo" }));
    let either = json!({ "anyOf": [{ "type": "string" }, { "type": "object" }] });
    assert_eq!(draw(Some(&either)), json!({}));
    assert!(arguments(Some(&json!({ "type": "string" })), &mut random(1)).is_err());
}
