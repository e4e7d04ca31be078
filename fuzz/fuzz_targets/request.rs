//! A request that is taken can be edited for an upstream, and keeps what is not ours.
#![no_main]

#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is tried here")]
mod openai;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use openai::{Bounds, Destination, EmbeddingParams, Form, ModerationParams, UnaryRequest};
use serde_json::Value;

const BOUNDS: Bounds = Bounds {
    depth: 16,
    messages: 8,
    tools: 4,
    schema_bytes: 256,
};

fuzz_target!(|body: &[u8]| {
    let body = Bytes::copy_from_slice(body);
    let fits = BOUNDS.check(&body);
    // Parsers that do not fail have to leave nothing undone; what they say is for tests.
    let _ = UnaryRequest::<EmbeddingParams>::parse(body.clone());
    let _ = UnaryRequest::<ModerationParams>::parse(body.clone());
    for form in [Form::Chat, Form::Text] {
        let Ok(request) = form.parse(body.clone()) else {
            continue;
        };
        assert!((1..=128).contains(&request.choices()));
        if form == Form::Chat && fits.is_ok() {
            assert!(request.params.messages.len() <= BOUNDS.messages);
        }
        for (model, asks_usage) in [(None, false), (None, true), (Some("other"), true)] {
            let edited = request.upstream_body(&Destination {
                model,
                asks_usage,
                ..Destination::default()
            });
            // What serde skips may be no more than a number out of its range.
            let Ok(before) = serde_json::from_slice::<Value>(&body) else {
                continue;
            };
            let after: Value = serde_json::from_slice(&edited).expect("still JSON");
            if !body.contains(&b'\\') {
                assert_eq!(after["messages"], before["messages"]);
                assert_eq!(
                    after["model"],
                    model.map_or(before["model"].clone(), Value::from)
                );
            }
        }
    }
});
