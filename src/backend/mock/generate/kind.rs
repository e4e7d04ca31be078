//! The types of JSON Schema, and which of them a schema means.

use serde_json::Value;

use super::{Cause, Unsatisfiable, keywords::Part};

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Null,
    Object,
    Array,
}

/// What `type` says; none where it is missing.
pub(super) fn kinds_of(part: &Part<'_>) -> Result<Option<Vec<Kind>>, Unsatisfiable> {
    let names = match part.get("type") {
        None => return Ok(None),
        Some(Value::String(name)) => vec![&name[..]],
        Some(_) => part.names("type")?,
    };
    let kinds = names.into_iter().map(|name| {
        let unknown = || {
            let why = format!("{name:?} is not a type");
            part.error("type", Cause::Malformed(why))
        };
        kind(name).ok_or_else(unknown)
    });
    kinds.collect::<Result<_, _>>().map(Some)
}

/// The type that a part without one is probably meant for: the one its keywords are about.
pub(super) fn guess(part: &Part<'_>) -> Option<Kind> {
    let about = [
        (
            Kind::Object,
            "properties required additionalProperties patternProperties propertyNames minProperties maxProperties",
        ),
        (
            Kind::Array,
            "items prefixItems minItems maxItems uniqueItems contains",
        ),
        (Kind::String, "pattern format minLength maxLength"),
        (
            Kind::Number,
            "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
        ),
    ];
    let is_about = |keywords: &str| keywords.split(' ').any(|keyword| part.has(keyword));
    let found = about.into_iter().find(|(_, keywords)| is_about(keywords));
    found.map(|(kind, _)| kind)
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "null" => Kind::Null,
        "object" => Kind::Object,
        "array" => Kind::Array,
        _ => return None,
    })
}

/// What two lists allow. An integer is a number.
pub(super) fn both(a: &[Kind], b: &[Kind]) -> Vec<Kind> {
    let covers = |list: &[Kind], kind: Kind| {
        list.contains(&kind) || (kind == Kind::Integer && list.contains(&Kind::Number))
    };
    let mut kinds: Vec<Kind> = a.iter().copied().filter(|&kind| covers(b, kind)).collect();
    let narrower = b
        .iter()
        .copied()
        .filter(|&kind| covers(a, kind) && !a.contains(&kind));
    kinds.extend(narrower);
    kinds
}
