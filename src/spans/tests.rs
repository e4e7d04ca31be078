//! What is queued, what is dropped, and what stands in a request.

use serde_json::{Value, json};

use super::*;

fn settings(queue: usize) -> Settings {
    Settings {
        endpoint: "http://127.0.0.1:9".to_owned(),
        headers: [].into(),
        service_name: "s".to_owned(),
        sample_ratio: 1.0,
        queue,
    }
}

fn span(spans: &Spans) -> Span {
    let (context, parent) = spans.begin(None).expect("traced");
    Span {
        context,
        parent,
        name: "chat m".to_owned(),
        kind: Kind::Server,
        start: SystemTime::UNIX_EPOCH,
        end: SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(1),
        attributes: vec![
            ("text", "a".into()),
            ("texts", Attribute::Texts(vec!["stop".to_owned()])),
            ("int", 7_u64.into()),
            ("float", Attribute::Float(0.5)),
            ("bool", Attribute::Bool(true)),
        ],
        is_error: true,
    }
}

#[test]
fn what_does_not_fit_into_the_queue_is_counted() {
    let metrics = Arc::default();
    let (spans, _exporter) = start(&settings(2), &metrics).expect("valid");
    for _ in 0..5 {
        spans.record(span(&spans));
    }
    let expected = "tokenfall_spans_dropped_total{cause=\"queue\"} 3";
    assert!(metrics.text().contains(expected), "{}", metrics.text());
}

#[test]
fn without_an_endpoint_nothing_is_traced() {
    let nowhere = Settings {
        endpoint: String::new(),
        ..settings(1)
    };
    let (spans, _exporter) = start(&nowhere, &Arc::default()).expect("valid");
    assert_eq!(spans.begin(None), None);
}

#[test]
fn a_parent_decides_what_is_sampled() {
    let (spans, _exporter) = start(&settings(1), &Arc::default()).expect("valid");
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let (context, parent) = spans.begin(Some(header)).expect("traced");
    assert!(!context.is_sampled);
    assert_eq!(parent, Context::parse(header).map(|parent| parent.span));
    assert!(spans.begin(Some("nonsense")).expect("traced").0.is_sampled);
}

#[test]
fn a_request_has_the_form_that_otlp_gives_it() {
    let (spans, _exporter) = start(&settings(1), &Arc::default()).expect("valid");
    let span = span(&spans);
    let body: Value =
        serde_json::from_str(&otlp::body("s", std::slice::from_ref(&span))).expect("JSON");
    let resource = &body["resourceSpans"][0];
    let name = json!({"key": "service.name", "value": {"stringValue": "s"}});
    assert_eq!(resource["resource"]["attributes"][0], name);
    let sent = &resource["scopeSpans"][0]["spans"][0];
    let ids = format!("00-{}-{}-01", sent["traceId"], sent["spanId"]).replace('"', "");
    assert_eq!(ids, span.context.to_string());
    assert_eq!(sent["parentSpanId"], Value::Null);
    assert_eq!(
        (&sent["kind"], &sent["status"]["code"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(sent["startTimeUnixNano"], "0");
    assert_eq!(sent["endTimeUnixNano"], "1");
    let values = sent["attributes"].as_array().expect("a list").iter();
    let values: Vec<_> = values.map(|pair| pair["value"].clone()).collect();
    let expected = [
        json!({"stringValue": "a"}),
        json!({"arrayValue": {"values": [{"stringValue": "stop"}]}}),
        json!({"intValue": "7"}),
        json!({"doubleValue": 0.5}),
        json!({"boolValue": true}),
    ];
    assert_eq!(values, expected);
}
