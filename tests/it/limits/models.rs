//! Keys that may use a part of the models.

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{STREAM, WHOLE},
    http::{fetch, post, post_to, request},
};

const SETTINGS: &str = "
mock.profile = 'instant'
auth.keys = [
  { name = 'some', key = 'some', admin = true, models = ['gpt-*', 'small'] },
  { name = 'all', key = 'all' },
]
models = [
  { name = 'gpt-4o', mock = true }, { name = 'small', mock = true }, { name = 'large', mock = true },
]
";
const SOME: (&str, &str) = ("authorization", "Bearer some");
const ALL: (&str, &str) = ("authorization", "Bearer all");

fn listed(server: &TestServer, key: (&str, &str)) -> Vec<String> {
    let reply = fetch(server.address(), &request("GET", "/v1/models", &[key]));
    let list = reply.json();
    let models = list["data"].as_array().expect("a list").iter();
    models
        .map(|model| model["id"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn a_key_sees_only_the_models_that_it_may_use() {
    let server = spawn(SETTINGS).expect("valid settings");
    assert_eq!(listed(&server, SOME), ["gpt-4o", "small"]);
    assert_eq!(listed(&server, ALL), ["gpt-4o", "small", "large"]);
    for (path, key, status) in [
        ("/v1/models/small", SOME, 200),
        ("/v1/models/large", SOME, 404),
        ("/v1/models/large", ALL, 200),
    ] {
        let reply = fetch(server.address(), &request("GET", path, &[key]));
        assert_eq!(reply.head.status, status, "{path}: {}", reply.text());
    }
}

#[test]
fn a_model_that_a_key_may_not_use_is_as_one_that_is_not_there() {
    let server = spawn(SETTINGS).expect("valid settings");
    let embed = r#"{"model":"m","input":"a"}"#;
    let legacy = r#"{"model":"m","prompt":"a"}"#;
    for (path, body) in [
        ("/v1/chat/completions", STREAM),
        ("/v1/chat/completions", WHOLE),
        ("/v1/completions", legacy),
        ("/v1/embeddings", embed),
        ("/v1/moderations", embed),
    ] {
        let told = |model: &str, key| {
            let body = body.replace("\"m\"", &format!("\"{model}\""));
            let reply = fetch(server.address(), &post_to(path, body, &[key]));
            (reply.head.status, reply.text().replace(model, "…"))
        };
        let none = told("none", ALL);
        assert_eq!(none.0, 404, "{}", none.1);
        assert!(none.1.contains("model_not_found"), "{}", none.1);
        assert_eq!(told("large", SOME), none);
        assert_eq!(told("large", ALL).0, 200);
        assert_eq!(told("small", SOME).0, 200);
    }
    let path = "/v1/models/large";
    let deleted = fetch(server.address(), &request("DELETE", path, &[SOME]));
    deleted.assert_refused(404, "model_not_found");
}

#[test]
fn keys_come_from_a_file_too() {
    let file = std::env::temp_dir().join(format!("tokenfall-keys-{}.toml", std::process::id()));
    // printf other | sha256sum
    let hash = "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
    let keys = format!("[[keys]]\nname = 'filed'\nhash = '{hash}'\nrpm = 1\n");
    std::fs::write(&file, keys).expect("written");
    let settings = format!("{SETTINGS}auth.keys_file = '{}'\n", file.display());
    let server = spawn(&settings).expect("valid settings");
    std::fs::remove_file(&file).expect("removed");
    let body = WHOLE.replace("\"m\"", "\"large\"");
    for (key, status) in [("all", 200), ("other", 200), ("other", 429), ("none", 401)] {
        let key = format!("Bearer {key}");
        let reply = fetch(server.address(), &post(&body, &[("authorization", &key)]));
        assert_eq!(reply.head.status, status, "{key}: {}", reply.text());
    }
}
