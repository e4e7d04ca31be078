//! The JSON Schema of a scenario, for editors.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema::Object},
};

use super::{Scenario, Template, Text, matcher::Query};

/// Gives a type the schema of the type that it is read from.
macro_rules! schema_of {
    ($type:ty, $written:ty) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <$written as utoipa::PartialSchema>::schema()
            }
        }
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn schemas(
                schemas: &mut Vec<(
                    String,
                    utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>,
                )>,
            ) {
                <$written as utoipa::ToSchema>::schemas(schemas);
            }
        }
    };
}
pub(super) use schema_of;

schema_of!(Template, String);
schema_of!(Query, String);

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        let one = |name: &str| json!({"required": [name]});
        let text = json!({"type": "string"});
        let schema = json!({
            "description": "A text that it contains, or one of these.",
            "oneOf": [
                text,
                {
                    "type": "object",
                    "properties": {"contains": text, "equals": text, "regex": text},
                    "additionalProperties": false,
                    "oneOf": [one("contains"), one("equals"), one("regex")],
                },
            ],
        });
        serde_json::from_value(schema).unwrap_or_else(|_| Object::new().into())
    }
}

impl ToSchema for Text {
    fn name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }
}

/// The JSON Schema (2020-12) of a scenario's file.
pub fn json_schema() -> Value {
    let mut parts = Vec::new();
    Scenario::schemas(&mut parts);
    let mut schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    let mut definitions = serde_json::Map::new();
    for (name, part) in parts {
        definitions.insert(
            name.clone(),
            tidy(&name, serde_json::to_value(part).unwrap_or_default()),
        );
    }
    let top = serde_json::to_value(Scenario::schema()).unwrap_or_default();
    if let (Some(schema), Value::Object(top)) = (schema.as_object_mut(), tidy("Scenario", top)) {
        schema.extend(top);
        schema.insert("$defs".to_owned(), definitions.into());
    }
    schema
}

/// With references of JSON Schema, and with what the types cannot say: of some members exactly
/// one is given.
fn tidy(name: &str, mut schema: Value) -> Value {
    let alternatives: &[&str] = match name {
        "Scenario" => &["reply", "sequence"],
        "Reply" => &["text", "blocks", "error", "raw"],
        "Block" => &["reasoning", "text", "refusal", "tool_calls"],
        "RawFrame" => &["text", "base64"],
        _ => &[],
    };
    if let (Some(object), false) = (schema.as_object_mut(), alternatives.is_empty()) {
        let one_of = alternatives.iter().map(|name| json!({"required": [name]}));
        object.insert("oneOf".to_owned(), one_of.collect());
    }
    point_to_definitions(&mut schema);
    schema
}

fn point_to_definitions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(place) if key == "$ref" => {
                        *place = place.replace("#/components/schemas/", "#/$defs/");
                    }
                    Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
                    Value::Array(_) | Value::Object(_) => point_to_definitions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_definitions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
