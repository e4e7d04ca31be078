//! Keys with limits, and a server that has as much to do as it can.

mod models;
mod rates;
mod room;
mod streams;

use crate::{
    chunks::completion,
    http::{fetch, post},
    proxy::{Proxy, Settings, before},
    reply::Reply,
    upstream::Script,
};

const KEY: (&str, &str) = ("authorization", "Bearer k");

/// A server in front of an upstream that plays this script, with a key `k` of these members.
fn keyed(script: Script, members: &str) -> Settings {
    let keys = format!("[{{ name = 'ci', key = 'k', {members} }}]");
    let settings = before(script).set("auth.keys", &keys);
    // Nobody waits for an upstream that goes on for ever.
    settings.set("server.drain", "'10ms'")
}

/// The same, of which every answer is whole and takes five tokens.
fn answering(members: &str) -> Proxy {
    keyed(Script::json(&completion()), members).start()
}

fn ask(proxy: &Proxy, body: &str) -> Reply {
    proxy.ask_with(body, &[KEY])
}

/// The reply to a request that others may be under way beside.
fn ask_beside(proxy: &Proxy, body: &str) -> Reply {
    fetch(proxy.address(), &post(body, &[KEY]))
}

/// A header that is a number.
#[track_caller]
fn number(reply: &Reply, name: &str) -> u64 {
    let value = reply.head.header(name);
    let value = value.unwrap_or_else(|| panic!("no {name}: {:?}", reply.head));
    value.parse().expect("a number")
}
