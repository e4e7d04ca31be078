//! Upstreams that close a connection which waited for a request: the request goes out again where
//! that is safe, and only there.

use std::time::Duration;

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, role, text},
    gate::{Gate, wait_until},
    http::{fetch, post},
    proxy::wait_until_idle,
    reply::Reply,
    upstream::{Script, Upstream},
};

fn answer() -> Script {
    Script::json(&completion())
}

/// Answers one request and reads another on the same connection.
fn answer_and_read() -> Script {
    answer().next_request()
}

/// What stands before the upstream's host: nothing where it is reached directly. A name is the library's
/// affair, as TLS is.
const WAYS: [&str; 2] = ["", "name@"];

/// A server in front of an upstream that plays these scripts, a connection each.
fn before(way: &str, scripts: impl Into<Vec<Script>>) -> (TestServer, Upstream) {
    let upstream = Upstream::play_each(scripts.into());
    let settings = format!(
        "server.workers = 1\nstream.commit_after = '1m'\n[[models]]\nname = '*'\n\
         upstreams = [{{ base_url = 'http://{way}{}/v1' }}]",
        upstream.address
    );
    (spawn(&settings).expect("valid settings"), upstream)
}

fn ask(server: &TestServer, body: &str) -> Reply {
    let reply = fetch(server.address(), &post(body, &[]));
    wait_until_idle(server);
    reply
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_request_goes_out_again_where_its_connection_had_waited() {
    for way in WAYS {
        for closing in [answer_and_read(), answer_and_read().reset()] {
            let (server, upstream) = before(way, [closing, answer()]);
            for _ in 0..2 {
                assert_eq!(ask(&server, WHOLE).head.status, 200);
            }
            assert_eq!(upstream.counts(), (2, 3));
        }
    }
}

#[test]
fn it_goes_out_again_only_once() {
    for way in WAYS {
        let (server, upstream) = before(way, [answer_and_read(), Script::silent()]);
        assert_eq!(ask(&server, WHOLE).head.status, 200);
        let reply = ask(&server, WHOLE);
        assert_eq!(code(&reply), "upstream_unreachable");
        assert_eq!(upstream.counts(), (2, 3));
    }
}

#[test]
fn on_a_connection_of_its_own_though_others_wait() {
    for way in WAYS {
        // Two at once, so that two connections wait afterwards, both about to be closed.
        let both = Gate::default();
        let gated = || Script::silent().wait(&both).and(answer_and_read());
        let (server, upstream) = before(way, [gated(), gated(), answer()]);
        std::thread::scope(|scope| {
            let first = [0; 2].map(|_| scope.spawn(|| fetch(server.address(), &post(WHOLE, &[]))));
            wait_until("both requests", || upstream.counts().1 == 2);
            both.open();
            for reply in first {
                assert_eq!(reply.join().expect("a reply").head.status, 200);
            }
        });
        wait_until_idle(&server);
        assert_eq!(ask(&server, WHOLE).head.status, 200);
        assert_eq!(upstream.counts(), (3, 4));
    }
}

#[test]
fn nothing_is_sent_twice_on_a_connection_that_was_opened_for_it() {
    for way in WAYS {
        for closing in [Script::silent(), Script::silent().reset()] {
            let (server, upstream) = before(way, [closing, answer()]);
            let reply = ask(&server, WHOLE);
            assert_eq!(code(&reply), "upstream_unreachable");
            assert_eq!(upstream.counts(), (1, 1));
        }
    }
}

#[test]
fn nothing_is_sent_twice_that_may_have_been_worked_at() {
    for way in WAYS {
        let pause = Duration::from_millis(700);
        let (server, upstream) = before(way, [answer_and_read().pause(pause), answer()]);
        assert_eq!(ask(&server, WHOLE).head.status, 200);
        let reply = ask(&server, WHOLE);
        assert_eq!(code(&reply), "upstream_unreachable");
        assert_eq!(upstream.counts(), (1, 2));
    }
}

#[test]
fn nothing_is_sent_twice_that_was_answered_in_part() {
    for way in WAYS {
        let begun = Script::stream().event(&role()).event(&text("Hello"));
        let (server, upstream) = before(way, [answer_and_read().and(begun), answer()]);
        assert_eq!(ask(&server, WHOLE).head.status, 200);
        let reply = ask(&server, STREAM);
        assert!(
            reply.text().contains("upstream_truncated"),
            "{}",
            reply.text()
        );
        assert!(reply.text().ends_with(DONE));
        assert_eq!(upstream.counts(), (1, 2));
    }
}

#[test]
fn nothing_is_sent_twice_whose_head_broke_off() {
    // The library cannot tell this from none.
    let broken = answer_and_read().send("HTTP/1.1 200 OK\r\nconte");
    let (server, upstream) = before("", [broken, answer()]);
    assert_eq!(ask(&server, WHOLE).head.status, 200);
    let reply = ask(&server, WHOLE);
    assert_eq!(code(&reply), "upstream_unreachable");
    assert_eq!(upstream.counts(), (1, 2));
}
