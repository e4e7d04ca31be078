//! Clients that come back: by cursor, by ticket, by idempotency key; and what becomes of an
//! answer in between.

mod activity;
mod background;
mod cuts;
mod follow;
mod idempotency;
mod many;
mod nodes;
mod policies;
mod rush;
mod stored;
mod tickets;

use std::net::SocketAddr;

use crate::{
    http::{Connection, fetch, request},
    reply::Reply,
};

/// The path of a completion.
fn path(id: &str, rest: &str) -> String {
    format!("/v1/chat/completions/{id}{rest}")
}

fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    fetch(address, &request("GET", path, headers))
}

fn call(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    fetch(address, &request(method, path, headers))
}

/// A connection on which a GET was sent.
fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Connection {
    let mut connection = Connection::open(address);
    connection.send(&request("GET", path, headers));
    connection
}

/// The id that a reply's head names.
fn id_of(reply: &Reply) -> String {
    reply
        .head
        .header("x-completion-id")
        .expect("an id")
        .to_owned()
}

/// The events of a stream, each with its blank line.
fn events(stream: &str) -> Vec<&str> {
    stream.split_inclusive("\n\n").collect()
}
