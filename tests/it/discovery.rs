//! The models of a pattern: what all of its upstreams name.

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{WHOLE, completion},
    gate::Gate,
    http::{Connection, fetch, post, request},
    reply::Reply,
    upstream::{Script, Upstream},
};

/// An upstream that names these models.
fn naming(names: &[&str]) -> Upstream {
    let entries = names
        .iter()
        .map(|name| format!(r#"{{"id":"{name}","owned_by":"{}"}}"#, names[0]));
    let entries = entries.collect::<Vec<_>>().join(",");
    Upstream::play(Script::json(&format!(r#"{{"data":[{entries}]}}"#)))
}

fn failing() -> Upstream {
    Upstream::play(Script::reply("500 Oops", &[], ""))
}

/// A model of this name, whose upstreams have these members beside their address.
fn model(name: &str, upstreams: &[(&Upstream, &str)]) -> String {
    let entries = upstreams
        .iter()
        .map(|(upstream, more)| format!("{{ base_url = 'http://{}/v1'{more} }}", upstream.address));
    let entries = entries.collect::<Vec<_>>().join(", ");
    format!("[[models]]\nname = '{name}'\nupstreams = [{entries}]\n")
}

fn serve(models: &[String]) -> TestServer {
    spawn(&format!("server.workers = 1\n{}", models.concat())).expect("valid settings")
}

fn list(server: &TestServer) -> Reply {
    fetch(server.address(), &request("GET", "/v1/models", &[]))
}

fn names(reply: &Reply) -> Vec<String> {
    let list = reply.json();
    let models = list["data"].as_array().expect("a list").iter();
    models
        .map(|model| model["id"].as_str().expect("a name").to_owned())
        .collect()
}

fn status(server: &TestServer, name: &str) -> u16 {
    let path = format!("/v1/models/{name}");
    fetch(server.address(), &request("GET", &path, &[]))
        .head
        .status
}

#[test]
fn all_upstreams_are_asked_and_each_name_stands_once() {
    let (one, two, plain) = (
        naming(&["a-1", "a-2"]),
        naming(&["a-2", "a-3", "b"]),
        naming(&["x"]),
    );
    let server = serve(&[
        model("own", &[(&plain, "")]),
        model("a-*", &[(&one, ""), (&two, "")]),
    ]);
    assert_eq!(names(&list(&server)), ["own", "a-1", "a-2", "a-3"]);
    let entry = fetch(server.address(), &request("GET", "/v1/models/a-2", &[])).json();
    assert_eq!(entry["owned_by"], "a-1", "of the first that names it");
    let statuses = ["own", "a-3", "a-4", "b"].map(|name| status(&server, name));
    assert_eq!(statuses, [200, 200, 404, 404]);
    assert_eq!(
        [one, two, plain].map(|upstream| upstream.counts().1),
        [1, 1, 0]
    );
}

#[test]
fn what_another_route_takes_is_not_listed_for_this_one() {
    let (one, two) = (naming(&["a-1"]), naming(&["a-2", "b"]));
    let server = serve(&[model("a-*", &[(&one, "")]), model("*", &[(&two, "")])]);
    assert_eq!(names(&list(&server)), ["a-1", "b"]);
    assert_eq!(status(&server, "a-2"), 404);
}

#[test]
fn who_cannot_say_is_passed_over_unless_nobody_can() {
    let (bad, good) = (failing(), naming(&["a"]));
    let server = serve(&[model("*", &[(&bad, ""), (&good, "")])]);
    assert_eq!(names(&list(&server)), ["a"]);
    assert_eq!(["a", "b"].map(|name| status(&server, name)), [200, 404]);
    let server = serve(&[model("*", &[(&bad, "")])]);
    assert_eq!(list(&server).head.status, 500);
    assert_eq!(status(&server, "a"), 500);
}

#[test]
fn who_is_not_to_be_asked_takes_any_name() {
    let (hidden, renamed) = (naming(&["a"]), naming(&["b"]));
    for upstream in [(&hidden, ", discover = false"), (&renamed, ", model = 'b'")] {
        let server = serve(&[model("*", &[upstream])]);
        assert_eq!(names(&list(&server)), [""; 0]);
        assert_eq!(status(&server, "anything"), 200);
    }
    assert_eq!(
        [hidden, renamed].map(|upstream| upstream.counts().1),
        [0, 0]
    );
}

#[test]
fn those_who_ask_at_once_share_one_request() {
    let gate = Gate::default();
    let slow = Script::silent()
        .wait(&gate)
        .and(Script::json(r#"{"data":[{"id":"a"}]}"#));
    let slow = Upstream::play(slow);
    let server = serve(&[model("*", &[(&slow, "")])]);
    let mut clients: Vec<_> = (0..5)
        .map(|_| {
            let mut client = Connection::open(server.address());
            client.send(&request("GET", "/v1/models", &[]));
            client
        })
        .collect();
    slow.request();
    gate.open();
    for client in &mut clients {
        assert_eq!(names(&client.reply()), ["a"]);
    }
    assert_eq!(slow.counts().1, 1);
}

#[test]
fn a_list_grows_old() {
    let upstream = naming(&["a"]);
    let server = serve(&[model("*", &[(&upstream, ", discover_ttl = '10ms'")])]);
    crate::gate::wait_until("a second request", || {
        list(&server);
        upstream.counts().1 >= 2
    });
}

#[test]
fn who_has_no_such_model_is_followed_by_the_next() {
    let none = Script::reply("404 No", &[("content-type", "application/json")], "{}");
    let (none, some) = (
        Upstream::play(none),
        Upstream::play(Script::json(&completion())),
    );
    let server = serve(&[model("*", &[(&none, ""), (&some, "")])]);
    for _ in 0..8 {
        let reply = fetch(server.address(), &post(WHOLE, &[]));
        assert_eq!(reply.head.status, 200);
    }
    // Nothing is wrong with who says so.
    assert_eq!([&none, &some].map(|upstream| upstream.counts().1), [8, 8]);
    let server = serve(&[model("*", &[(&none, "")])]);
    assert_eq!(fetch(server.address(), &post(WHOLE, &[])).head.status, 404);
}
