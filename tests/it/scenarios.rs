//! The mock's scenarios, faults, framings, dialects and journal, over the wire.

mod drawn;
mod faults;
mod framing;
mod golden;
mod journal;
mod load;
mod matching;
mod times;

use std::{net::SocketAddr, sync::LazyLock};

use serde_json::{Value, json};
use tokenfall::testing::{TestServer, spawn};

use crate::{http::fetch, http::post, reply::Reply};

/// A mock with the scenarios of this repository, and an answer of its own for all else.
static SHIPPED: LazyLock<TestServer> = LazyLock::new(|| serve(&prompts(), ""));

fn prompts() -> String {
    format!("{}/prompts", env!("CARGO_MANIFEST_DIR"))
}

/// A mock without waits, with the scenarios of a folder.
fn serve(folder: &str, more: &str) -> TestServer {
    // No heartbeat, however long the tokenizer takes to load.
    let commit = match more.contains("commit_after") {
        true => "",
        false => "stream.commit_after = '1m'\n",
    };
    let settings = format!("mock.profile = 'instant'\nmock.prompts = '{folder}'\n{commit}{more}");
    spawn(&settings).expect("valid settings")
}

/// A chat of one message.
fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o-mini", "seed": 7, "messages": [{"role": "user", "content": text}]})
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = true.into();
    body
}

fn ask(address: SocketAddr, body: &Value, headers: &[(&str, &str)]) -> Reply {
    fetch(address, &post(body.to_string(), headers))
}

/// The text that a whole reply says.
fn text(reply: &Reply) -> String {
    let json = reply.json();
    let text = json.pointer("/choices/0/message/content");
    let text = text.and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text in {json}"))
        .to_owned()
}
