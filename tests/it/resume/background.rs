//! `background: true`: an answer that is made while nobody waits.

use tokenfall::testing::spawn;

use super::{get, id_of};
use crate::{
    chunks::{WHOLE, finish, role, stream_with, text, usage},
    gate::Gate,
    http::{fetch, post},
    proxy::{before, wait_until_idle},
    upstream::Script,
};

fn background() -> String {
    WHOLE.replacen('{', r#"{"background":true,"#, 1)
}

fn path_of(url: &str) -> String {
    let at = url.find("/v1/").expect("a path");
    url[at..].to_owned()
}

#[test]
fn the_answer_is_202_at_once_and_the_url_follows_what_is_made() {
    let gate = Gate::default();
    let script = Script::stream()
        .wait(&gate)
        .event(&role())
        .event(&text("a"));
    let proxy = before(script.event(&finish()).event(&usage()).done()).start();
    let reply = fetch(proxy.address(), &post(background(), &[]));
    assert_eq!(reply.head.status, 202);
    let queued = reply.json();
    assert_eq!(queued["status"], "queued");
    assert_eq!(queued["id"], id_of(&reply));
    let url = queued["stream_url"].as_str().expect("a URL").to_owned();
    assert!(
        url.starts_with("http://localhost/v1/chat/completions/chatcmpl-"),
        "{url}"
    );
    gate.open();
    let stream = get(proxy.address(), &path_of(&url), &[]);
    assert!(stream.text().contains("\"content\":\"a\""));
    assert!(stream.text().ends_with("\ndata: [DONE]\n\n"));
}

#[test]
fn the_upstream_is_asked_for_a_stream_whatever_the_client_wrote() {
    let bodies = [background(), stream_with(r#""background":true"#)];
    for body in bodies {
        let script = Script::stream().event(&text("a")).event(&finish()).done();
        let proxy = before(script).start();
        assert_eq!(fetch(proxy.address(), &post(&body, &[])).head.status, 202);
        wait_until_idle(&proxy.server);
        let sent: serde_json::Value =
            serde_json::from_str(&proxy.upstream.request().body).expect("JSON");
        assert_eq!(sent["stream"], true);
        assert_eq!(sent["stream_options"]["include_usage"], true);
        assert!(sent.get("background").is_none());
    }
}

#[test]
fn nobody_has_to_read_it() {
    let script = Script::stream().event(&text("a")).event(&finish()).done();
    let proxy = before(script)
        .set("stream.on_disconnect", "'cancel'")
        .start();
    let reply = fetch(proxy.address(), &post(background(), &[]));
    wait_until_idle(&proxy.server);
    let view = get(proxy.address(), &super::path(&id_of(&reply), ""), &[]).json();
    assert_eq!(view["status"], "completed");
}

#[test]
fn the_url_carries_a_ticket_where_one_is_needed_and_the_public_address() {
    let settings =
        "[server]\npublic_url = 'https://tokens.example.org/'\n[mock]\nprofile = 'instant'";
    let server = spawn(settings).expect("a server");
    let with_key = fetch(
        server.address(),
        &post(background(), &[("authorization", "Bearer x")]),
    );
    let queued = with_key.json();
    let url = queued["stream_url"].as_str().expect("a URL");
    let ticket = queued["ticket"].as_str().expect("a ticket");
    assert!(
        url.starts_with("https://tokens.example.org/v1/chat/"),
        "{url}"
    );
    assert!(url.ends_with(&format!("/stream?ticket={ticket}")), "{url}");
    assert_eq!(get(server.address(), &path_of(url), &[]).head.status, 200);
    let without = fetch(server.address(), &post(background(), &[])).json();
    let url = without["stream_url"].as_str().expect("a URL").to_owned();
    assert!(url.ends_with("/stream"), "{url}");
}
