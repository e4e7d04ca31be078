//! Spans as OTLP has them in JSON: ids as hexadecimal digits, 64-bit numbers as texts, enums as
//! numbers (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding").

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Attribute, Kind, Span, context::hex};

/// The body of an export request.
pub(super) fn body(service_name: &str, spans: &[Span]) -> String {
    let resource = [
        ("service.name", service_name.into()),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(&resource)},
        "scopeSpans": [{
            "scope": {"name": "tokenfall", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
    .to_string()
}

fn span(span: &Span) -> Value {
    let kind = match span.kind {
        Kind::Server => 2,
        Kind::Client => 3,
    };
    let mut value = json!({
        "traceId": hex(&span.context.trace),
        "spanId": hex(&span.context.span),
        "flags": u8::from(span.context.is_sampled),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.start),
        "endTimeUnixNano": nanos(span.end),
        "attributes": attributes(&span.attributes),
        "status": if span.is_error { json!({"code": 2}) } else { json!({}) },
    });
    if let Some(parent) = &span.parent {
        value["parentSpanId"] = hex(parent).into();
    }
    value
}

fn nanos(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

fn attributes(all: &[(&'static str, Attribute)]) -> Vec<Value> {
    let pair = |(key, value): &(_, _)| json!({"key": key, "value": any(value)});
    all.iter().map(pair).collect()
}

fn any(value: &Attribute) -> Value {
    let text = |text: &String| json!({"stringValue": text});
    match value {
        Attribute::Text(one) => text(one),
        Attribute::Texts(several) => {
            json!({"arrayValue": {"values": several.iter().map(text).collect::<Vec<_>>()}})
        }
        Attribute::Int(number) => json!({"intValue": number.to_string()}),
        Attribute::Float(number) => json!({"doubleValue": number}),
        Attribute::Bool(is) => json!({"boolValue": is}),
    }
}
