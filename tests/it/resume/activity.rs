//! The stream of what happens.

use tokenfall::testing::spawn;

use super::{get, id_of, open};
use crate::{
    chunks::STREAM,
    gate::wait_until,
    http::{fetch, post},
};

#[test]
fn what_happens_is_told_without_content_and_resumed() {
    let server = spawn("[mock]\nprofile = 'instant'").expect("a server");
    let mut follower = open(server.address(), "/v1/activity", &[]);
    follower.head();
    assert_eq!(follower.chunks_until("\n\n"), "retry: 2000\nid: 1-0\n\n");
    let secret = STREAM.replace("Hi", "s3cret");
    let id = id_of(&fetch(server.address(), &post(secret, &[])));
    let told = follower.chunks_until("\"ended\"");
    assert!(
        told.contains(&format!(
            "id: 1-1\ndata: {{\"type\":\"started\",\"id\":\"{id}\",\"model\":\"m\"}}\n\n"
        )),
        "{told}"
    );
    assert!(
        told.contains("id: 1-2\ndata: {\"type\":\"first_token\""),
        "{told}"
    );
    assert!(told.contains("\"end\":\"completed\""), "{told}");
    assert!(!told.contains("s3cret"));
    drop(follower);
    let mut back = open(
        server.address(),
        "/v1/activity",
        &[("last-event-id", "1-2")],
    );
    back.head();
    let rest = back.chunks_until("\"ended\"");
    assert!(
        rest.starts_with("retry: 2000\nid: 1-2\n\nid: 1-3\ndata: "),
        "{rest}"
    );
}

#[test]
fn places_that_never_were_are_told() {
    let server = spawn("[mock]\nprofile = 'instant'").expect("a server");
    let ask = |cursor: &str| {
        get(
            server.address(),
            "/v1/activity",
            &[("last-event-id", cursor)],
        )
    };
    ask("1-9").assert_refused(410, "cursor_invalid");
    ask("x").assert_refused(400, "cursor_malformed");
}

#[test]
fn where_there_are_keys_it_needs_one_of_an_admin() {
    let keys =
        "[auth]\nkeys = [{ name = 'a', key = 'ka' }, { name = 'b', key = 'kb', admin = true }]";
    let server = spawn(keys).expect("a server");
    let ask = |key: &str| get(server.address(), "/v1/activity", &[("authorization", key)]);
    ask("Bearer ka").assert_refused(403, "forbidden");
    ask("Bearer kc").assert_refused(401, "invalid_api_key");
    let mut admin = open(
        server.address(),
        "/v1/activity",
        &[("authorization", "Bearer kb")],
    );
    assert_eq!(admin.head().status, 200);
    drop(admin);
    wait_until("the reader to be gone", || server.streams() == 0);
}
