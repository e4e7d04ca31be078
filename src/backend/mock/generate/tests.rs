//! One keyword at a time, each value checked by a validator that is not ours.

use serde_json::{Value, json};

use super::{Random, value};

/// How many seeds each schema is drawn with.
const SEEDS: u32 = 40;

/// The numbers of a seed.
pub(super) fn random(seed: u32) -> Random {
    Random::new(&[42; 32], seed)
}

/// Whether a value is valid, formats included.
pub(super) fn assert_valid(schema: &Value, value: &Value) {
    let options = jsonschema::options().should_validate_formats(true);
    let validator = options.build(schema).expect("a schema");
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{value}\nis no\n{schema}\n{errors:?}");
}

/// Draws with many seeds, checks every value, and hands them out.
pub(super) fn draws(schema: &Value) -> Vec<Value> {
    let draw = |seed| match value(schema, &mut random(seed)) {
        Ok(value) => value,
        Err(error) => panic!("{error}\n{schema}"),
    };
    let values: Vec<_> = (0..SEEDS).map(draw).collect();
    values.iter().for_each(|value| assert_valid(schema, value));
    values
}

/// Whether one of the values is so.
pub(super) fn has(values: &[Value], is_it: impl Fn(&Value) -> bool) -> bool {
    values.iter().any(is_it)
}

#[test]
fn every_type_is_drawn() {
    for (name, is_it) in [
        ("string", Value::is_string as fn(&Value) -> bool),
        ("number", Value::is_number),
        ("integer", Value::is_i64),
        ("boolean", Value::is_boolean),
        ("null", Value::is_null),
        ("object", Value::is_object),
        ("array", Value::is_array),
    ] {
        assert!(draws(&json!({ "type": name })).iter().all(is_it), "{name}");
    }
}

#[test]
fn several_types_are_all_drawn_and_null_rarely() {
    let values = draws(&json!({ "type": ["null", "string", "integer"] }));
    assert!(has(&values, Value::is_string) && has(&values, Value::is_i64));
    let nulls = values.iter().filter(|value| value.is_null()).count();
    assert!((1..values.len() / 2).contains(&nulls), "{nulls}");
}

#[test]
fn a_schema_without_a_type_is_what_its_keywords_are_about() {
    draws(&json!(true));
    draws(&json!({}));
    assert!(draws(&json!({ "properties": {} }))[0].is_object());
    assert!(draws(&json!({ "items": {} }))[0].is_array());
    assert!(draws(&json!({ "minLength": 3 }))[0].is_string());
    assert!(draws(&json!({ "minimum": 3 }))[0].is_number());
    assert!(!draws(&json!({ "not": { "type": "string" } }))[0].is_string());
}

#[test]
fn listed_values_are_taken_as_they_are() {
    let values = draws(&json!({ "enum": ["a", 1, null, { "b": [2] }] }));
    assert!(has(&values, Value::is_object) && has(&values, Value::is_null));
    assert_eq!(draws(&json!({ "const": [1, "x"] }))[0], json!([1, "x"]));
    let narrowed = json!({ "type": "integer", "enum": ["a", 1, 2.5, 7], "minimum": 2 });
    assert_eq!(draws(&narrowed)[0], json!(7));
}

#[test]
fn numbers_keep_within_their_limits() {
    for schema in [
        json!({ "type": "integer", "minimum": 3, "maximum": 3 }),
        json!({ "type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5 }),
        json!({ "type": "integer", "minimum": 1.5, "maximum": 2.5 }),
        json!({ "type": "integer", "maximum": -1_000_000 }),
        json!({ "type": "integer", "minimum": 9_007_199_254_740_991_i64 }),
        json!({ "type": "integer", "minimum": u64::MAX }),
        json!({ "type": "integer", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64 }),
        json!({ "type": "integer", "multipleOf": 250 }),
        json!({ "type": "integer", "multipleOf": 1000, "minimum": 1 }),
        json!({ "type": "integer", "multipleOf": 1.5, "maximum": 10 }),
        json!({ "type": "integer", "allOf": [{ "multipleOf": 4 }, { "multipleOf": 6 }] }),
        json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001 }),
        json!({ "type": "number", "minimum": 0.123_456_789, "maximum": 0.123_456_789 }),
        json!({ "type": "number", "exclusiveMinimum": 1e300 }),
        json!({ "type": "number", "maximum": -1e300 }),
        json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1e-300 }),
        json!({ "type": "number", "multipleOf": 0.01 }),
        json!({ "type": "number", "multipleOf": 0.01, "minimum": 0.05, "maximum": 0.05 }),
        json!({ "type": "number", "multipleOf": 0.1, "minimum": 100.25 }),
        json!({ "type": "number", "multipleOf": 2.5, "minimum": -20, "maximum": -10 }),
        json!({ "type": "number", "multipleOf": 1e20 }),
        json!({ "type": ["number", "integer"], "minimum": 5 }),
        json!({ "type": "number", "allOf": [{ "type": "integer" }] }),
    ] {
        draws(&schema);
    }
}

#[test]
fn a_name_makes_a_number_likely() {
    let schema = json!({ "properties": { "userAge": { "type": "integer" }, "confidence": { "type": "number" } }, "required": ["userAge", "confidence"] });
    for value in draws(&schema) {
        assert!((18..=80).contains(&value["userAge"].as_i64().expect("an age")));
        assert!((0.0..=1.0).contains(&value["confidence"].as_f64().expect("a number")));
    }
}

#[test]
fn texts_have_the_length_asked_for() {
    for (least, most) in [(0, 0), (1, 1), (5, 5), (40, 40), (2000, 2003), (0, 3)] {
        draws(&json!({ "type": "string", "minLength": least, "maxLength": most }));
    }
    draws(&json!({ "type": "string", "minLength": 3.0 }));
}

#[test]
fn texts_read_as_their_names_say() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "contactEmail": { "type": "string" },
            "city": { "type": "string" },
            "links": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            "whatever": { "type": "string" },
        },
        "required": ["name", "contactEmail", "city", "links", "whatever"],
    });
    for value in draws(&schema) {
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        assert!(text("name").contains(' '));
        assert!(text("contactEmail").ends_with("@example.com"));
        assert!(text("city").starts_with(char::is_uppercase));
        assert!(
            value["links"][0]
                .as_str()
                .expect("a link")
                .starts_with("https://")
        );
        assert!(
            text("whatever")
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == ' ')
        );
    }
}

#[test]
fn every_format_is_valid_and_known_for_what_it_is() {
    for format in [
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
        "uri",
        "uri-reference",
        "uri-template",
        "iri",
        "iri-reference",
        "idn-email",
        "json-pointer",
        "relative-json-pointer",
        "regex",
        "idn-hostname",
    ] {
        // With a `not` the value has to pass our own check too.
        draws(&json!({ "type": "string", "format": format, "not": { "const": "" } }));
        draws(&json!({ "type": "string", "format": format }));
    }
    draws(&json!({ "type": "string", "format": "of-my-own" }));
}

#[test]
fn patterns_are_met() {
    for pattern in [
        "^[a-z]+$",
        r"^\d{3}-\d{4}$",
        "^(foo|bar)?$",
        "^[A-Z]{2}[0-9]{2,}$",
        "x",
        "",
        "^$",
        r"^[^\s@]+@[^\s@]+\.[^\s@]+$",
        r"^[\w.-]+$",
        r"^\S+$",
        r"^.{3,5}$",
        r"^\p{Lu}\p{Ll}*$",
        r"\bcat\b",
        r"^(?:[01]\d|2[0-3]):[0-5]\d$",
        r"^#[0-9a-fA-F]{6}$",
        r"^\/api\/v\d+\/",
        r"^@[a-zA-Z0-9_]{1,15}$",
        r"^[\u4e00-\u9fa5]{2}$",
        r"^a{0}$",
        r"(?i)^yes$",
        r"^(?=.*\d)[a-z\d]{4}$",
        r"^(?!.*--)[a-z-]{3,6}$",
        r"^\{\w+\}$",
        r"^[^a-z]$",
    ] {
        draws(&json!({ "type": "string", "pattern": pattern }));
    }
}

#[test]
fn patterns_agree_with_lengths_and_formats() {
    for schema in [
        json!({ "pattern": "^[a-z]+$", "minLength": 50, "maxLength": 50 }),
        json!({ "pattern": "^[a-z]*-[0-9]*$", "minLength": 20 }),
        json!({ "pattern": "^(ab)+$", "minLength": 7, "maxLength": 8 }),
        json!({ "pattern": "^[a-z]+@", "format": "email", "maxLength": 60 }),
        json!({ "pattern": "^https://", "format": "uri" }),
        json!({ "pattern": "^urn:x:[0-9]{5}$", "format": "uri" }),
        json!({ "allOf": [{ "pattern": "^[a-f]" }, { "pattern": "^[d-z]+$" }] }),
    ] {
        let schema = json!({ "type": "string", "allOf": [schema] });
        draws(&schema);
    }
}
