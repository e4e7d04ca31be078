//! The bytes of every scenario that is shipped. `UPDATE_GOLDEN=1 cargo test golden` writes them
//! anew; look at the difference.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{SHIPPED, ask, prompts, streamed};
use crate::{
    http::{fetch, request},
    reply::Reply,
};

fn shipped() -> Vec<(String, Value)> {
    let list = fetch(SHIPPED.address(), &request("GET", "/_mock/scenarios", &[])).json();
    let list = list["data"].as_array().expect("a list").clone();
    list.into_iter()
        .map(|scenario| {
            let name = scenario["name"].as_str().expect("a name").to_owned();
            let example = scenario["example"].clone();
            assert!(example.is_object(), "{name} has no example");
            (name, example)
        })
        .collect()
}

/// Ask as the example of a scenario does, with a seed.
fn example(name: &str, mut body: Value, headers: &[(&str, &str)]) -> Reply {
    body["seed"] = 42.into();
    let session = format!("golden-{name}");
    let all = [headers, &[("x-mock-session", &session[..])]].concat();
    ask(SHIPPED.address(), &body, &all)
}

fn golden(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/golden").join(name)
}

/// Larger answers are held by their digest.
const LARGE: usize = 100_000;

/// Holds bytes against a file; its name.
fn hold(name: &str, bytes: &[u8]) -> String {
    if bytes.len() > LARGE {
        let hex = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        let digest = format!("{hex}\n");
        return hold(&format!("{name}.sha256"), digest.as_bytes());
    }
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, bytes).expect("a folder that can be written");
    }
    let expected = fs::read(&path).unwrap_or_default();
    assert!(
        expected == bytes,
        "{}: other bytes than before:\n{}",
        path.display(),
        String::from_utf8_lossy(bytes)
    );
    name.to_owned()
}

#[test]
fn every_scenario_has_the_bytes_it_had() {
    let mut written = BTreeSet::new();
    for (name, body) in shipped() {
        let mut streaming = streamed(body.clone());
        streaming["stream_options"] = serde_json::json!({"include_usage": true});
        // The log has all of it; a fault is the wire's.
        let reply = example(&name, streaming, &[("x-mock-fault", "")]);
        written.insert(hold(&format!("{name}.sse"), &reply.body));
        let whole = example(&name, body, &[("x-mock-fault", "")]);
        written.insert(hold(&format!("{name}.json"), &whole.body));
    }
    let dialects = dialects();
    let kept = fs::read_dir(golden("")).expect("a folder");
    for file in kept {
        let file = file.expect("a file").file_name();
        let file = file.to_string_lossy().into_owned();
        let is_known = written.contains(&file) || dialects.contains(&file);
        assert!(is_known, "tests/golden/{file} is nobody's");
    }
}

const DIALECTS: [&str; 6] = [
    "azure",
    "vllm",
    "llama.cpp",
    "ollama",
    "openrouter",
    "deepseek",
];

/// Of every kind of reply.
const KINDS: [&str; 3] = ["parallel-calls", "reasoning", "refusal"];

fn dialects() -> BTreeSet<String> {
    let names = DIALECTS.iter().flat_map(|dialect| {
        KINDS
            .iter()
            .map(move |kind| format!("{kind}.{dialect}.sse"))
    });
    names.collect()
}

#[test]
fn every_dialect_has_the_bytes_it_had() {
    for (name, body) in shipped() {
        if !KINDS.contains(&&name[..]) {
            continue;
        }
        for dialect in DIALECTS {
            let mut body = streamed(body.clone());
            body["stream_options"] = serde_json::json!({"include_usage": true});
            let reply = example(&name, body, &[("x-mock-dialect", dialect)]);
            // How many comments come depends on the time.
            let bytes = reply.text().replace(": OPENROUTER PROCESSING\n\n", "");
            hold(&format!("{name}.{dialect}.sse"), bytes.as_bytes());
        }
    }
}

#[test]
fn the_example_of_a_scenario_is_answered_by_it() {
    for (name, body) in shipped() {
        let session = format!("example-{name}");
        let headers = [("x-mock-session", &session[..])];
        let request_of = |method, path| request(method, path, &headers);
        ask(SHIPPED.address(), &body, &headers);
        let journal = fetch(SHIPPED.address(), &request_of("GET", "/_mock/requests")).json();
        assert_eq!(journal["data"][0]["scenario"], name.as_str(), "{journal:#}");
    }
}

#[test]
fn every_scenario_is_valid_by_the_published_schema() {
    let schema = tokenfall::backend::mock::scenario::json_schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for file in fs::read_dir(prompts()).expect("a folder") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a text");
        let scenario: Value = serde_saphyr::from_str(&text).expect("YAML");
        let errors: Vec<_> = validator
            .iter_errors(&scenario)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}
