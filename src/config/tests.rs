//! What an error of the configuration says, and which layer wins.

use super::{layers::Layers, *};

fn refused(text: &str) -> String {
    Config::from_toml(text).expect_err(text).to_string()
}

#[test]
fn the_defaults_alone_are_a_configuration() {
    let config = Config::from_toml("").expect("the defaults");
    assert_eq!(config.server.port, 8080);
    assert!(config.is_all_mock());
}

const WRONG: [(&str, &[&str]); 34] = [
    (
        "[server]\n\nport = \"x\"",
        &["config:3: server.port: ", "\"x\"", "u16"],
    ),
    (
        "[server]\nport = 70000",
        &["config:2: server.port: ", "70000"],
    ),
    (
        "[server]\nprot = 1",
        &["config:2: server.prot: ", "unknown field `prot`", "`port`"],
    ),
    (
        "[sever]",
        &["config:1: sever: ", "unknown field `sever`", "`server`"],
    ),
    (
        "[stream]\nheartbeat = \"soon\"",
        &["config:2: stream.heartbeat: ", "soon"],
    ),
    (
        "[stream]\nheartbeat = \"9ms\"",
        &["config:2: stream.heartbeat: ", "at least 10ms", "9ms"],
    ),
    (
        "[stream]\nheartbeat_form = \"x\"",
        &["config:2: stream.heartbeat_form: ", "`x`", "`line`"],
    ),
    (
        "[stream]\non_disconnect = \"never\"",
        &[
            "config:2: stream.on_disconnect: ",
            "never",
            "`cancel`, `detach`",
        ],
    ),
    (
        "[stream]\nlog_bytes = 2048",
        &[
            "config:2: stream.log_bytes: ",
            "at least stream.event_bytes",
            "2048",
        ],
    ),
    (
        "[mock]\nprofile = \"warp\"",
        &[
            "config:2: mock.profile: ",
            "\"warp\"",
            "hosted, instant, local",
        ],
    ),
    (
        "[mock.profiles.slow]\nspread = 11",
        &["config:2: mock.profiles.slow.spread: ", "from 0 to 10"],
    ),
    (
        "[mock]\nspeed = 0.0",
        &["config:2: mock.speed: ", "from 0.001 to 1000000"],
    ),
    (
        "[mock]\ndialect = \"klingon\"",
        &["config:2: mock.dialect: ", "`klingon`", "`llama.cpp`"],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"ftp://x\" }]",
        &[
            "config:3: models[0].upstreams[0].base_url: ",
            "ftp://x",
            "http",
        ],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = []",
        &["config:3: models[0].upstreams: ", "at least one upstream"],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"http://x\", key_env = \"NO\" }]",
        &[
            "config:3: models[0].upstreams[0].key_env: ",
            "no variable `NO`",
        ],
    ),
    (
        "[[models]]\nname = \"*\"\nmock = true\ncache = { share = \"finished\" }",
        &["config:4: models[0].cache.share: ", "expected `off`"],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"http://x\" }]\ncache = { share = \"in_flight\", lifetime = \"6m\" }",
        &[
            "config:4: models[0].cache.lifetime: ",
            "stream.retention, which is 300s",
        ],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"http://x\" }]\ncache = { lifetime = \"1ms\" }",
        &["config:4: models[0].cache.lifetime: ", "at least 10ms"],
    ),
    (
        "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"http://x\" }]\ncache = { share = \"always\" }",
        &[
            "config:4: models[0].cache.share: ",
            "`always`",
            "`in_flight`",
        ],
    ),
    (
        "[stream]\nmax_cached_answers = 0",
        &["config:2: stream.max_cached_answers: ", "at least 1"],
    ),
    (
        "[auth]\nkeys = [{ name = \"a\" }]",
        &["config:2: auth.keys[0]: ", "exactly one of `key`"],
    ),
    (
        "[auth]\nkeys = [\n  { name = \"a\", key = \"k\", rpm = 0 },\n]",
        &["config:3: auth.keys[0].rpm: ", "expected 1 to", "got 0"],
    ),
    (
        "[auth]\nkeys = [\n  { name = \"a\", key = \"k\", streams = -1 },\n]",
        &["config:3: auth.keys[0].streams: ", "-1", "u64"],
    ),
    (
        "[auth]\nkeys = [{ name = \"a\", key = \"k\", models = [] }]",
        &["config:2: auth.keys[0].models: ", "`gpt-*`"],
    ),
    (
        "[auth]\nkeys = [\n  { name = \"a\", key = \"k\" },\n  { name = \"a\", key = \"l\" },\n]",
        &["config:4: auth.keys[1].name: ", "another key", "`a`"],
    ),
    (
        "[limits]\nhead_timeout = \"999ms\"",
        &["config:2: limits.head_timeout: ", "at least 1s", "999ms"],
    ),
    (
        "[limits]\njson_depth = 129",
        &["config:2: limits.json_depth: ", "8 to 128", "129"],
    ),
    (
        "[limits]\ntools = 0",
        &["config:2: limits.tools: ", "at least 1"],
    ),
    (
        "[limits]\nheader_bytes = 1023",
        &["config:2: limits.header_bytes: ", "at least 1024"],
    ),
    (
        "[limits]\nstreams = 0",
        &["config:2: limits.streams: ", "at least 1"],
    ),
    (
        "[auth]\nkeys_file = \"/nowhere/keys.toml\"",
        &["/nowhere/keys.toml: ", "cannot be read"],
    ),
    (
        "[cors]\norigins = [\"example.org\"]",
        &["config:2: cors.origins[0]: ", "https://"],
    ),
    ("[server\nport = 1", &["config:1: "]),
];

#[test]
fn an_error_names_file_line_key_value_and_what_is_allowed() {
    for (text, parts) in WRONG {
        let error = refused(text);
        assert!(error.starts_with(parts[0]), "{text:?}: {error}");
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error} lacks {part:?}");
        }
    }
}

#[test]
fn a_secret_never_stands_in_an_error() {
    for text in [
        "[auth]\nkeys = [{ name = \"a\", key = \"s3cret\", hash = \"x\" }]",
        "[auth]\nkeys = [{ name = \"a\", key = [\"s3cret\"] }]",
    ] {
        let error = refused(text);
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn the_later_layer_is_the_stronger() {
    let mut layers = Layers::defaults().expect("defaults");
    layers
        .add_file("f", "[server]\nport = 1\nhost = \"10.0.0.1\"")
        .expect("a file");
    layers
        .add_variable("TOKENFALL__SERVER__PORT", "2")
        .expect("a variable");
    layers
        .add_variable("TOKENFALL__STREAM__HEARTBEAT", "10ms")
        .expect("a variable");
    layers
        .add_variable("TOKENFALL__SERVER__PUBLIC_URL", "127")
        .expect("text that looks like a number");
    layers.add_variable("PATH", "/bin").expect("not ours");
    layers
        .add_value(Source::Flag("--port"), "server.port", 3.into())
        .expect("a flag");
    let config = layers.config().expect("valid");
    assert_eq!(
        (config.server.port, &config.server.host[..]),
        (3, "10.0.0.1")
    );
    assert_eq!(
        config.stream.heartbeat,
        std::time::Duration::from_millis(10)
    );
}

#[test]
fn an_error_blames_the_layer_that_set_the_value() {
    let mut layers = Layers::defaults().expect("defaults");
    let error = layers
        .add_variable("TOKENFALL__SERVER__PORT", "x")
        .expect_err("no port");
    assert!(
        error
            .to_string()
            .starts_with("environment variable TOKENFALL__SERVER__PORT: server.port: "),
        "{error}"
    );
    let error = layers
        .add_variable("TOKENFALL__SERVER__NOPE", "x")
        .expect_err("no key");
    assert!(
        error
            .to_string()
            .contains("server.nope: unknown field `nope`"),
        "{error}"
    );
    let error = layers
        .add_value(Source::Flag("--port"), "server.port", (-1).into())
        .expect_err("no port");
    assert!(
        error.to_string().starts_with("--port: server.port: "),
        "{error}"
    );
}

#[test]
fn an_upstream_key_is_not_served_to_the_world_by_mistake() {
    let config = |host: &str, more: &str| {
        let text = format!(
            "[server]\nhost = \"{host}\"\n{more}\n[[models]]\nname = \"*\"\nupstreams = [{{ base_url = \"http://x\", headers = {{ api-key = \"k\" }} }}]"
        );
        Config::from_toml(&text)
    };
    let error = config("0.0.0.0", "").expect_err("exposed").to_string();
    assert!(
        error.starts_with("config:2: server.host: ") && error.contains("--open"),
        "{error}"
    );
    assert!(config("127.0.0.1", "").is_ok());
    assert!(config("0.0.0.0", "open = true").is_ok());
    assert!(config("0.0.0.0", "[auth]\nkeys = [{ name = \"a\", key = \"k\" }]").is_ok());
}

#[test]
fn several_nodes_need_an_address_a_secret_and_ids_of_their_own() {
    let store = |more: &str| {
        let error = Config::from_toml(&format!("[store]\nkind = \"redis\"\n{more}")).map(drop);
        error
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let url = "url = \"redis://:hunter2@127.0.0.1\"\n";
    let secret = "[auth]\nticket_secret = \"s\"\n";
    let expect = |settings: &str, start: &str| {
        let error = store(settings);
        assert!(error.contains(start), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    expect("", "store.url: expected where the Redis is");
    expect(
        "url = \"http://:hunter2@x\"",
        "store.url: not the address of a Redis",
    );
    expect(
        &format!("{url}lease = \"1ms\""),
        "store.lease: expected a duration",
    );
    expect(url, "auth.ticket_secret: several nodes");
    let deterministic = format!("{url}{secret}[mock]\ndeterministic = true");
    expect(&deterministic, "mock.deterministic: cannot be");
    assert_eq!(store(&format!("{url}{secret}")), "");
}

/// What is said of a file of keys with this text.
fn refused_file(text: &str) -> String {
    let name = format!("tokenfall-{}-{}.toml", std::process::id(), text.len());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, text).expect("written");
    let settings = format!(
        "auth = {{ keys_file = '{}', keys = [{{ name = 'own', key = 'k' }}] }}",
        file.display()
    );
    let error = refused(&settings);
    std::fs::remove_file(&file).expect("removed");
    let name = format!("{}:", file.display());
    let rest = error.strip_prefix(&name);
    rest.unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn an_error_in_the_file_of_keys_names_its_line() {
    for (text, parts) in [
        ("[[keys]", &["1: "][..]),
        ("[[keys]]\nname = 'a'", &["1: keys[0]: ", "exactly one"]),
        (
            "[[keys]]\nname = 'a'\nkey = 'secret'\nrpn = 1",
            &["4: keys[0].rpn: ", "unknown field", "`rpm`"],
        ),
        (
            "[[keys]]\nname = 'a'\nkey = 'secret'\n\ntpm = 0",
            &["5: keys[0].tpm: ", "expected 1 to"],
        ),
        (
            "[[keys]]\nname = 'own'\nkey = 'secret'",
            &["2: keys[0].name: ", "auth.keys has", "`own`"],
        ),
        (
            "[[keys]]\nname = 'a'\nkey_env = 'NO'",
            &["3: keys[0].key_env: ", "no variable `NO`"],
        ),
    ] {
        let error = refused_file(text);
        assert!(error.starts_with(parts[0]), "{text:?}: {error}");
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error} lacks {part:?}");
        }
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn cassettes_answer_alone_or_record_what_they_lack() {
    let refused = |text: &str, expected: &str| {
        let error = Config::from_toml(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let models = "[[models]]\nname = \"*\"\nupstreams = [{ base_url = \"http://x\" }]\n";
    let record = "[mock]\non_miss = \"record\"\n";
    refused(
        record,
        "config:2: mock.on_miss: `record` needs mock.cassettes",
    );
    let folder = "cassettes = \"c\"\n";
    refused(&format!("{record}{folder}"), "mock.on_miss: `record` needs");
    refused(
        &format!("[mock]\n{folder}{models}"),
        "mock.cassettes: cassettes answer in place",
    );
    refused(
        "[mock]\nrerecord = true",
        "mock.rerecord: nothing is recorded",
    );
    assert!(Config::from_toml(&format!("{record}{folder}{models}")).is_ok());
    assert!(Config::from_toml(&format!("[mock]\n{folder}")).is_ok());
}
