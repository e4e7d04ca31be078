//! What is answered in one piece: embeddings, moderations, the deletion of a model.

mod bad_input;
mod proxied;

use std::sync::LazyLock;

use serde_json::{Value, json};
use tokenfall::testing::{TestServer, spawn};

use crate::{
    http::{fetch, post_to, request},
    reply::Reply,
};

static MOCK: LazyLock<TestServer> =
    LazyLock::new(|| spawn("mock.profile = 'instant'").expect("valid settings"));

fn ask(path: &str, body: &Value) -> Reply {
    fetch(MOCK.address(), &post_to(path, body.to_string(), &[]))
}

fn embed(body: &Value) -> Value {
    let reply = ask("/v1/embeddings", body);
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    reply.json()
}

/// The vectors of a reply in `float`.
fn vectors(list: &Value) -> Vec<Vec<f64>> {
    let data = list["data"].as_array().expect("a list");
    let numbers = |item: &Value| {
        let vector = item["embedding"].as_array().expect("a vector");
        vector
            .iter()
            .map(|n| n.as_f64().expect("a number"))
            .collect()
    };
    data.iter().map(numbers).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn an_embedding_has_the_bytes_of_openai() {
    let body = json!({"model": "m", "input": "a", "dimensions": 1});
    let reply = ask("/v1/embeddings", &body);
    let number = reply.json()["data"][0]["embedding"][0].clone();
    let expected = format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{number}]}}],"model":"m","usage":{{"prompt_tokens":1,"total_tokens":1}}}}"#
    );
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    assert!(number == 1.0 || number == -1.0, "{number}");
}

#[test]
fn vectors_have_length_one_and_as_many_numbers_as_the_model_or_the_request_says() {
    for (model, dimensions, expected) in [
        ("text-embedding-3-small", None, 1536),
        ("text-embedding-ada-002", None, 1536),
        ("text-embedding-3-large", None, 3072),
        ("text-embedding-3-large", Some(256), 256),
        ("any", Some(7), 7),
    ] {
        let body = json!({"model": model, "input": ["x", "y z"], "dimensions": dimensions});
        for vector in vectors(&embed(&body)) {
            assert_eq!(vector.len(), expected, "{model}");
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn base64_is_the_same_numbers() {
    let body = |format: &str| json!({"model": "m", "input": "Grüße 🌊", "encoding_format": format});
    let floats = vectors(&embed(&body("float"))).remove(0);
    let base64 = embed(&body("base64"))["data"][0]["embedding"].clone();
    let bytes = decode(base64.as_str().expect("a text"));
    let decoded: Vec<f64> = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("four")).into())
        .collect();
    assert_eq!(decoded.len(), 1536);
    for (decoded, float) in decoded.iter().zip(floats) {
        assert!((decoded - float).abs() < 1e-7, "{decoded} {float}");
    }
}

#[test]
fn a_mock_without_base64_sends_numbers_whatever_was_asked_for() {
    let settings = "mock.base64_embeddings = false";
    let server = spawn(settings).expect("valid settings");
    let body = r#"{"model":"m","input":"a","dimensions":2,"encoding_format":"base64"}"#;
    let list = fetch(server.address(), &post_to("/v1/embeddings", body, &[])).json();
    assert_eq!(vectors(&list)[0].len(), 2);
}

/// RFC 4648, section 4, by the book.
fn decode(base64: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.trim_end_matches('=').chars();
    let bits: String = digits
        .map(|digit| format!("{:06b}", DIGITS.find(digit).expect("a digit")))
        .collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes
        .map(|byte| {
            let byte = std::str::from_utf8(byte).expect("bits");
            u8::from_str_radix(byte, 2).expect("bits")
        })
        .collect()
}

#[test]
fn similar_texts_are_nearer_than_different_ones() {
    let texts = [
        "How do I reset my password?",
        "I forgot my password, how can I reset it?",
        "The weather in Lisbon is lovely today.",
    ];
    let vectors = vectors(&embed(&json!({"model": "m", "input": texts})));
    let (near, far) = (
        cosine(&vectors[0], &vectors[1]),
        cosine(&vectors[0], &vectors[2]),
    );
    assert!(near > far + 0.3, "{near} {far}");
}

#[test]
fn the_same_text_has_the_same_vector_on_every_server_and_in_every_company() {
    let alone = embed(&json!({"model": "m", "input": "b"}));
    let other = spawn("mock.profile = 'instant'").expect("valid settings");
    let body = json!({"model": "m", "input": ["a", "b"]}).to_string();
    let both = fetch(other.address(), &post_to("/v1/embeddings", body, &[])).json();
    assert_eq!(both["data"][1]["embedding"], alone["data"][0]["embedding"]);
    assert_eq!(both["data"][1]["index"], 1);
    let model = embed(&json!({"model": "n", "input": "b"}));
    assert_ne!(model["data"], alone["data"]);
}

#[test]
fn tokens_are_counted_by_the_tokenizer_or_by_the_client() {
    for (input, count) in [
        (json!("hello world"), 2),
        (json!(["hello world", "hello"]), 3),
        (json!([24912, 2375]), 2),
        (json!([[24912, 2375], [7]]), 3),
    ] {
        let list = embed(&json!({"model": "m", "input": input, "dimensions": 8}));
        let usage = json!({"prompt_tokens": count, "total_tokens": count});
        assert_eq!(list["usage"], usage, "{input}");
    }
}

#[test]
fn a_moderation_flags_what_a_text_names() {
    let body = json!({"input": ["Nice weather.", "I want to kill them.", "SELF-HARM/intent"]});
    let reply = ask("/v1/moderations", &body).json();
    assert_eq!(reply["model"], "omni-moderation-latest");
    assert!(
        reply["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("modr-"))
    );
    let flagged = |result: &Value| -> Vec<String> {
        let categories = result["categories"].as_object().expect("categories");
        assert_eq!(categories.len(), 13);
        let flagged = categories
            .iter()
            .filter(|(_, is_flagged)| **is_flagged == true);
        flagged.map(|(name, _)| name.clone()).collect()
    };
    let results = reply["results"].as_array().expect("results");
    let [nice, threat, named] = &results[..] else {
        panic!("three results: {reply}");
    };
    assert_eq!((&nice["flagged"], flagged(nice)), (&json!(false), vec![]));
    assert_eq!(flagged(threat), ["harassment/threatening", "violence"]);
    assert_eq!(flagged(named), ["self-harm", "self-harm/intent"]);
    assert_eq!(threat["flagged"], true);
    assert!(threat["category_scores"]["violence"].as_f64() > Some(0.9));
    assert!(nice["category_scores"]["violence"].as_f64() < Some(0.1));
    assert_eq!(
        nice["category_applied_input_types"]["hate"],
        json!(["text"])
    );
}

#[test]
fn parts_are_moderated_together() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let text = json!({"type": "text", "text": "hi"});
    for (input, of_hate, of_violence) in [
        (json!([image]), json!([]), json!(["image"])),
        (
            json!([text, image]),
            json!(["text"]),
            json!(["text", "image"]),
        ),
    ] {
        let reply = ask("/v1/moderations", &json!({"model": "m", "input": input})).json();
        assert_eq!(reply["model"], "m");
        assert_eq!(reply["results"].as_array().map(Vec::len), Some(1));
        let looked_at = &reply["results"][0]["category_applied_input_types"];
        assert_eq!(
            (&looked_at["hate"], &looked_at["violence"]),
            (&of_hate, &of_violence)
        );
    }
}

#[test]
fn a_model_of_any_name_is_deleted() {
    for (path, name) in [
        (
            "ft:gpt-4o-mini:acemeco:suffix:abc123",
            "ft:gpt-4o-mini:acemeco:suffix:abc123",
        ),
        ("ft%3Agpt-4o-mini%3Aacemeco", "ft:gpt-4o-mini:acemeco"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("meta-llama%2FLlama-3", "meta-llama/Llama-3"),
    ] {
        let path = format!("/v1/models/{path}");
        let deleted = fetch(MOCK.address(), &request("DELETE", &path, &[]));
        let expected = json!({"id": name, "object": "model", "deleted": true});
        assert_eq!((deleted.head.status, deleted.json()), (200, expected));
        let found = fetch(MOCK.address(), &request("GET", &path, &[])).json();
        assert_eq!(found["id"], name);
    }
}

#[test]
fn deleting_a_model_needs_an_admin_key_where_keys_are_configured() {
    let keys =
        "auth.keys = [{ name = 'a', key = 'plain' }, { name = 'b', key = 'admin', admin = true }]";
    let server = spawn(keys).expect("valid settings");
    let delete = |key: &str| {
        let key = format!("Bearer {key}");
        let headers = [("authorization", &key[..])];
        fetch(
            server.address(),
            &request("DELETE", "/v1/models/m", &headers),
        )
    };
    delete("plain").assert_refused(403, "forbidden");
    assert_eq!(delete("admin").json()["deleted"], true);
    let head = post_to("/v1/embeddings", r#"{"model":"m","input":"a"}"#, &[]);
    fetch(server.address(), &head).assert_refused(401, "invalid_api_key");
}
