//! The way back into one completion without a key.

use tokenfall::testing::{TestServer, spawn};

use super::{call, get, path};
use crate::{
    chunks::STREAM,
    http::{fetch, post, request},
    reply::Reply,
};

const KEY: (&str, &str) = ("authorization", "Bearer ka");

fn server() -> TestServer {
    let keys = "[auth]\nkeys = [{ name = 'a', key = 'ka' }]\nticket_secret = 's'\n";
    // No heartbeat, however busy the machine is.
    let patient = "[stream]\ncommit_after = '1m'\n";
    spawn(&format!("{keys}{patient}[mock]\nprofile = 'instant'")).expect("a server")
}

/// A stream's reply, its id and its ticket.
fn streamed(server: &TestServer) -> (Reply, String, String) {
    let reply = fetch(server.address(), &post(STREAM, &[KEY]));
    let header = |name| reply.head.header(name).expect("a header").to_owned();
    let (id, ticket) = (header("x-completion-id"), header("x-stream-ticket"));
    (reply, id, ticket)
}

#[test]
fn a_ticket_opens_reading_and_cancelling_of_its_completion() {
    let server = server();
    let (reply, id, ticket) = streamed(&server);
    let with = |rest: &str| path(&id, &format!("{rest}ticket={ticket}"));
    let follow = get(server.address(), &with("?stream=true&"), &[]);
    assert_eq!(follow.body, reply.body);
    assert_eq!(follow.head.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(
        get(server.address(), &with("/stream?"), &[]).head.status,
        200
    );
    assert_eq!(
        get(server.address(), &with("?"), &[]).json()["status"],
        "completed"
    );
    let cancel = call(
        server.address(),
        "POST",
        &with("/cancel?"),
        &[("content-length", "0")],
    );
    assert_eq!(cancel.head.status, 200);
}

#[test]
fn a_ticket_opens_nothing_else() {
    let server = server();
    let (_, id, ticket) = streamed(&server);
    let (_, other, _) = streamed(&server);
    let query = format!("?ticket={ticket}");
    let elsewhere = get(server.address(), &path(&other, &query), &[]);
    elsewhere.assert_refused(401, "invalid_ticket");
    let messages = get(
        server.address(),
        &path(&id, &format!("/messages{query}")),
        &[],
    );
    messages.assert_refused(401, "invalid_api_key");
    let delete = call(server.address(), "DELETE", &path(&id, &query), &[]);
    delete.assert_refused(401, "invalid_api_key");
    let list = get(
        server.address(),
        &format!("/v1/chat/completions{query}"),
        &[],
    );
    list.assert_refused(401, "invalid_api_key");
    let forged = get(
        server.address(),
        &path(&id, &format!("?ticket={}0", ticket)),
        &[],
    );
    let error = forged.assert_refused(401, "invalid_ticket");
    assert!(!error.to_string().contains(&ticket), "{error}");
    let key = get(server.address(), &path(&id, "?key=ka&api_key=ka"), &[]);
    key.assert_refused(401, "invalid_api_key");
}

#[test]
fn a_ticket_outlives_a_restart_with_the_same_secret() {
    let (_, id, ticket) = streamed(&server());
    let other = server();
    let reply = get(
        other.address(),
        &path(&id, &format!("?ticket={ticket}")),
        &[],
    );
    reply.assert_refused(404, "not_found");
}

#[test]
fn a_ticket_comes_as_a_cookie_where_that_is_asked_for() {
    let server = server();
    let reply = fetch(
        server.address(),
        &post(STREAM, &[KEY, ("x-stream-cookie", "1")]),
    );
    let cookie = reply
        .head
        .header("set-cookie")
        .expect("a cookie")
        .to_owned();
    let id = super::id_of(&reply);
    assert!(
        cookie.contains(&format!("; Path={}; HttpOnly; SameSite=Lax", path(&id, ""))),
        "{cookie}"
    );
    let pair = cookie.split(';').next().expect("a pair");
    let headers = [("cookie", &format!("theme=dark; {pair}")[..])];
    assert_eq!(
        get(server.address(), &path(&id, "/stream"), &headers)
            .head
            .status,
        200
    );
}

#[test]
fn a_bad_ticket_does_not_stand_in_the_way_of_a_key() {
    let server = server();
    let (_, id, ticket) = streamed(&server);
    let (stale, bad) = (
        ("cookie", "tokenfall_ticket=1.2.3"),
        path(&id, "?ticket=1.2.3"),
    );
    let status =
        |path: &str, headers: &[(&str, &str)]| get(server.address(), path, headers).head.status;
    assert_eq!(status(&bad, &[KEY]), 200);
    assert_eq!(status(&path(&id, ""), &[KEY, stale]), 200);
    let good = path(&id, &format!("?ticket={ticket}"));
    assert_eq!(status(&good, &[stale]), 200);
    let wrong = ("authorization", "Bearer kx");
    for headers in [&[stale][..], &[stale, wrong]] {
        let reply = get(server.address(), &path(&id, ""), headers);
        reply.assert_refused(401, "invalid_ticket");
    }
    let open = spawn("[mock]\nprofile = 'instant'").expect("a server");
    let id = super::id_of(&fetch(open.address(), &post(STREAM, &[])));
    let reply = get(open.address(), &path(&id, ""), &[stale]);
    assert_eq!(reply.head.status, 200, "nobody is asked for anything there");
    let reply = get(open.address(), &path(&id, "?ticket=1.2.3"), &[]);
    reply.assert_refused(401, "invalid_ticket");
}

#[test]
fn pages_of_named_origins_may_bring_the_cookie_and_others_may_not() {
    let settings = "[cors]\norigins = ['https://chat.example.org']\n[mock]\nprofile = 'instant'";
    let server = spawn(settings).expect("a server");
    let head = |origin: &str| {
        let request = request("GET", "/v1/models", &[("origin", origin)]);
        fetch(server.address(), &request).head
    };
    let named = head("https://chat.example.org");
    assert_eq!(
        named.header("access-control-allow-origin"),
        Some("https://chat.example.org")
    );
    assert_eq!(
        named.header("access-control-allow-credentials"),
        Some("true")
    );
    let other = head("https://other.example");
    assert_eq!(other.header("access-control-allow-origin"), Some("*"));
    assert_eq!(other.header("access-control-allow-credentials"), None);
}
