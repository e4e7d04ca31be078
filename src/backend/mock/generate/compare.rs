//! What values are, how they compare, and whether a number lies within its limits.

use serde_json::{Number, Value};

use super::{Unsatisfiable, decimal::Decimal, keywords::Part, kind::Kind};

/// Whether two values are equal as JSON Schema has it: 1 is 1.0.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64() == b.as_f64() && a.is_f64() != b.is_f64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, value)| b.get(name).is_some_and(|other| same(value, other));
            a.len() == b.len() && a.iter().all(has)
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => a == b,
    }
}

/// Whether a value is of a type.
pub(super) fn is_kind(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Null => value.is_null(),
        Kind::Boolean => value.is_boolean(),
        Kind::Number => value.is_number(),
        Kind::Integer => {
            let float = value.as_f64().filter(|_| value.is_f64());
            float.map_or(value.is_i64() || value.is_u64(), |float| {
                float.fract() == 0.0
            })
        }
        Kind::String => value.is_string(),
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
    }
}

/// Whether a count lies within two keywords' counts.
pub(super) fn is_within(
    part: &Part<'_>,
    count: usize,
    (least, most): (&str, &str),
) -> Result<bool, Unsatisfiable> {
    let least = part.count(least)?.unwrap_or_default();
    let most = part.count(most)?.unwrap_or(usize::MAX);
    Ok((least..=most).contains(&count))
}

/// Whether the keywords of a part for numbers allow one.
pub(super) fn holds_number(part: &Part<'_>, number: &Number) -> Result<bool, Unsatisfiable> {
    let is_above = |limit: Option<&Number>, is_strict: bool| {
        limit.is_none_or(|limit| is_less(limit, number) || (!is_strict && !is_less(number, limit)))
    };
    let is_below = |limit: Option<&Number>, is_strict: bool| {
        limit.is_none_or(|limit| is_less(number, limit) || (!is_strict && !is_less(limit, number)))
    };
    // Draft 4 has a boolean beside the limit.
    let exclusive = |keyword: &str| match part.get(keyword) {
        Some(Value::Bool(_)) => Ok(None),
        Some(_) | None => part.number(keyword),
    };
    let is_in_range = is_above(part.number("minimum")?, part.is_set("exclusiveMinimum"))
        && is_above(exclusive("exclusiveMinimum")?, true)
        && is_below(part.number("maximum")?, part.is_set("exclusiveMaximum"))
        && is_below(exclusive("exclusiveMaximum")?, true);
    let is_multiple = part
        .number("multipleOf")?
        .is_none_or(|of| is_multiple(number, of));
    Ok(is_in_range && is_multiple)
}

fn is_less(a: &Number, b: &Number) -> bool {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        return a < b;
    }
    a.as_f64() < b.as_f64()
}

fn is_multiple(number: &Number, of: &Number) -> bool {
    let decimals = Decimal::read(number).zip(Decimal::read(of));
    let exactly = decimals.and_then(|(number, of)| number.is_multiple_of(of));
    exactly.unwrap_or_else(|| {
        let floats = number.as_f64().zip(of.as_f64());
        floats.is_some_and(|(number, of)| number % of == 0.0)
    })
}
