//! Several upstreams: who fails before it has said anything is followed by the next, before the
//! commit and after it; afterwards nothing is repeated.

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, role, text, usage},
    http::{fetch, post, request},
    proxy::wait_until_idle,
    reply::Reply,
    upstream::{Script, Upstream},
};

/// A server in front of these upstreams, in this order.
pub(crate) struct Pool {
    pub(crate) server: TestServer,
    pub(crate) upstreams: Vec<Upstream>,
}

/// Times in which a test can wait for a clock.
const CLOCKS: &str = "first_chunk = '1s'\nbetween = '300ms'\nafter_finish = '100ms'\n";

impl Pool {
    pub(crate) fn of(scripts: Vec<Script>, more: &str) -> Self {
        Self::over(scripts.into_iter().map(Upstream::play).collect(), more)
    }

    pub(crate) fn over(upstreams: Vec<Upstream>, more: &str) -> Self {
        let urls = upstreams
            .iter()
            .map(|upstream| upstream.address.to_string());
        Self {
            server: serve(&urls.collect::<Vec<_>>(), more),
            upstreams,
        }
    }

    pub(crate) fn ask(&self, body: &str) -> Reply {
        let reply = fetch(self.server.address(), &post(body, &[]));
        wait_until_idle(&self.server);
        reply
    }

    /// How many requests came to each upstream.
    pub(crate) fn requests(&self) -> Vec<usize> {
        self.upstreams
            .iter()
            .map(|upstream| upstream.counts().1)
            .collect()
    }
}

fn serve(addresses: &[String], more: &str) -> TestServer {
    let entries = addresses
        .iter()
        .map(|address| format!("{{ base_url = 'http://{address}/v1' }}"));
    let entries = entries.collect::<Vec<_>>().join(", ");
    let (top, model) = more.split_once("---\n").unwrap_or(("", more));
    let settings = format!(
        "server.workers = 1\n{top}[[models]]\nname = '*'\nupstreams = [{entries}]\n{CLOCKS}{model}"
    );
    spawn(&settings).expect("valid settings")
}

fn good() -> Script {
    let script = Script::stream().event(&role()).event(&text("Hello"));
    script.event(&finish()).event(&usage()).done().end()
}

/// What a client gets of [`good`].
fn whole() -> String {
    [role(), text("Hello"), finish()]
        .map(|json| frame(&json))
        .concat()
        + DONE
}

/// A name, what is played, and what it is without anybody else to ask: a status and a code.
type Failing = (&'static str, Script, u16, &'static str);

const ERROR: &str = r#"{"error":{"message":"no","type":"x","param":null,"code":"c"}}"#;

/// Every way to fail before any content.
fn failures() -> Vec<Failing> {
    [before_the_head(), after_the_head()].concat()
}

fn before_the_head() -> Vec<Failing> {
    let refuse =
        |status: &str| Script::reply(status, &[("content-type", "application/json")], ERROR);
    let html = Script::reply("200 OK", &[("content-type", "text/html")], "<p>");
    let reset = Script::silent().reset();
    vec![
        ("closed", Script::silent(), 502, "upstream_unreachable"),
        ("reset before the head", reset, 502, "upstream_unreachable"),
        ("429", refuse("429 Too Many Requests"), 429, "c"),
        ("500", refuse("500 Oops"), 500, "c"),
        ("401", refuse("401 No"), 401, "c"),
        ("HTML 200", html, 502, "upstream_malformed"),
        (
            "silence",
            Script::silent().linger(),
            504,
            "upstream_timeout",
        ),
    ]
}

fn after_the_head() -> Vec<Failing> {
    let begun = || Script::stream().event(&role());
    let head = Script::stream();
    vec![
        (
            "silence after the head",
            head.linger(),
            504,
            "upstream_timeout",
        ),
        (
            "silence after the role",
            begun().linger(),
            504,
            "upstream_timeout",
        ),
        (
            "cut after the role",
            begun().reset(),
            502,
            "upstream_truncated",
        ),
        (
            "end after the role",
            begun().end(),
            502,
            "upstream_truncated",
        ),
        ("bad JSON", begun().event("{"), 502, "upstream_malformed"),
        ("an error event", begun().event(ERROR), 502, "c"),
        ("no finish", begun().done().end(), 502, "upstream_truncated"),
    ]
}

/// A refused key is the client's affair where no key of ours is set: nobody else is asked.
fn moves_on(name: &str) -> bool {
    name != "401"
}

#[test]
fn who_fails_before_any_content_is_followed_by_the_next() {
    for (name, script, status, code) in failures() {
        let pool = Pool::of(vec![script, good()], "");
        let reply = pool.ask(STREAM);
        if moves_on(name) {
            assert_eq!(reply.head.status, 200, "{name}: {}", reply.text());
            assert_eq!(reply.text(), reply.head.with_our_id(&whole()), "{name}");
            assert_eq!(reply.head.header("x-stream-attempts"), Some("2"), "{name}");
            assert_eq!(pool.requests(), [1, 1], "{name}");
        } else {
            reply.assert_refused(status, code);
            assert_eq!(pool.requests(), [1, 0], "{name}");
        }
    }
}

#[test]
fn also_after_the_commit() {
    for (name, script, _, _) in failures() {
        if !moves_on(name) {
            continue;
        }
        // The head is out, and heartbeats flow, before the first upstream fails.
        let slow = Script::stream().event(&role()).linger();
        let pool = Pool::of(
            vec![slow, script, good()],
            "stream.commit_after = '50ms'\nstream.heartbeat = '50ms'\n---\n",
        );
        let reply = pool.ask(STREAM);
        assert_eq!(reply.head.status, 200, "{name}");
        let beats = reply.text().matches(":\n\n").count();
        assert!(beats >= 2, "{name}: {}", reply.text());
        let events = reply.text().replace(":\n\n", "");
        assert_eq!(events, reply.head.with_our_id(&whole()), "{name}");
        assert_eq!(pool.requests(), [1, 1, 1], "{name}");
    }
}

#[test]
fn when_all_fail_the_last_failure_is_told() {
    for (name, script, status, code) in failures() {
        let first = Script::stream().event(&role()).reset();
        let pool = Pool::of(vec![first, script], "");
        let reply = pool.ask(STREAM);
        if let "429" | "500" | "401" = name {
            assert_eq!(reply.head.status, status, "{name}");
            continue;
        }
        // The role of the last upstream goes out at once, and with it the head.
        if reply.head.status == 200 {
            let before = reply.head.with_our_id(&frame(&role()));
            reply.assert_breaks_off(&before, code);
        } else {
            reply.assert_refused(status, code);
        }
    }
}

#[test]
fn a_whole_reply_moves_on_too() {
    for (name, script, _, _) in failures() {
        if !moves_on(name) {
            continue;
        }
        let pool = Pool::of(vec![script, Script::json(&completion())], "total = '1s'\n");
        // A silent upstream takes all the time there is: a whole reply has no first chunk.
        if name.starts_with("silence") {
            continue;
        }
        let reply = pool.ask(WHOLE);
        assert_eq!(reply.head.status, 200, "{name}: {}", reply.text());
        assert_eq!(
            reply.json()["choices"][0]["message"]["content"],
            "Hello",
            "{name}"
        );
        assert_eq!(reply.head.header("x-stream-attempts"), Some("2"), "{name}");
    }
}

#[test]
fn after_content_nobody_else_is_asked() {
    let first = Script::stream().event(&role()).event(&text("Hel")).reset();
    let pool = Pool::of(vec![first, good()], "");
    let reply = pool.ask(STREAM);
    let before = [role(), text("Hel")].map(|json| frame(&json)).concat();
    reply.assert_breaks_off(&reply.head.with_our_id(&before), "upstream_truncated");
    assert_eq!(pool.requests(), [1, 0]);
}

#[test]
fn an_answer_without_content_is_an_answer() {
    let empty = Script::stream()
        .event(&role())
        .event(&finish())
        .done()
        .end();
    let pool = Pool::of(vec![empty, good()], "");
    let reply = pool.ask(STREAM);
    let expected = [role(), finish()].map(|json| frame(&json)).concat() + DONE;
    assert_eq!(reply.text(), reply.head.with_our_id(&expected));
    assert_eq!(pool.requests(), [1, 0]);
}

#[test]
fn the_attempts_are_told_of_the_completion_afterwards() {
    let pool = Pool::of(vec![Script::silent().reset(), good()], "");
    let reply = pool.ask(STREAM);
    let id = reply.head.header("x-completion-id").expect("an id");
    let path = format!("/v1/chat/completions/{id}");
    let view = fetch(pool.server.address(), &request("GET", &path, &[])).json();
    assert_eq!(view["attempts"], 2);
    assert_eq!(view["status"], "completed");
}

#[test]
fn one_that_fails_too_often_is_not_asked_first_any_more() {
    let pool = Pool::of(vec![Script::silent().reset(), good()], "");
    for _ in 0..12 {
        assert_eq!(pool.ask(STREAM).head.status, 200);
    }
    let [first, second] = pool.requests()[..] else {
        panic!("two upstreams");
    };
    assert_eq!(
        (first, second),
        (5, 12),
        "the breaker opens after five in a row"
    );
}

#[test]
fn one_that_asks_for_rest_gets_it() {
    let busy = Script::reply("429 Busy", &[("retry-after", "30")], "");
    let pool = Pool::of(vec![busy, good()], "");
    for _ in 0..4 {
        assert_eq!(pool.ask(STREAM).head.status, 200);
    }
    assert_eq!(pool.requests(), [1, 4]);
}

#[test]
fn weights_and_open_answers_decide_who_is_first() {
    let entries = |upstreams: &[Upstream], weights: [u32; 2]| {
        let pairs = upstreams.iter().zip(weights);
        let entries = pairs.map(|(upstream, weight)| {
            let address = upstream.address;
            format!("{{ base_url = 'http://{address}/v1', weight = {weight} }}")
        });
        entries.collect::<Vec<_>>().join(", ")
    };
    let serve = |balance: &str, weights| {
        let upstreams = vec![Upstream::play(good()), Upstream::play(good())];
        let entries = entries(&upstreams, weights);
        let settings = format!(
            "server.workers = 1\n[[models]]\nname = '*'\nbalance = '{balance}'\nupstreams = [{entries}]"
        );
        let server = spawn(&settings).expect("valid settings");
        Pool { server, upstreams }
    };
    let weighted = serve("weighted", [3, 1]);
    for _ in 0..8 {
        weighted.ask(STREAM);
    }
    assert_eq!(weighted.requests(), [6, 2]);
    let least = serve("least_open", [1, 1]);
    for _ in 0..4 {
        least.ask(STREAM);
    }
    assert_eq!(least.requests().iter().sum::<usize>(), 4);
}

#[test]
fn one_with_fewer_open_answers_is_asked_first() {
    let long = || Script::stream().event(&role()).event(&text("Hel")).linger();
    let upstreams = [Upstream::play(long()), Upstream::play(long())];
    let entries: Vec<_> = upstreams
        .iter()
        .map(|upstream| format!("{{ base_url = 'http://{}/v1' }}", upstream.address))
        .collect();
    let settings = format!(
        "server.workers = 1\nstream.on_disconnect = 'cancel'\n[[models]]\nname = '*'\n\
         balance = 'least_open'\nupstreams = [{}]",
        entries.join(", ")
    );
    let server = spawn(&settings).expect("valid settings");
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = crate::http::Connection::open(server.address());
        client.send(&post(STREAM, &[]));
        client.head();
        client.chunks_until("Hel");
        clients.push(client);
    }
    let requests: Vec<_> = upstreams
        .iter()
        .map(|upstream| upstream.counts().1)
        .collect();
    assert_eq!(requests, [2, 2]);
}

#[test]
fn an_upstream_that_refuses_connections_is_passed_over() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("an open socket").to_string();
    drop(closed);
    let upstream = Upstream::play(good());
    let server = serve(&[address, upstream.address.to_string()], "");
    let reply = fetch(server.address(), &post(STREAM, &[]));
    assert_eq!(reply.text(), reply.head.with_our_id(&whole()));
}

#[test]
fn mock_and_proxy_stand_side_by_side() {
    let upstream = Upstream::play(good());
    let settings = format!(
        "mock.profile = 'instant'\nstream.commit_after = '1m'\n[[models]]\nname = 'mock-*'\nmock = true\n[[models]]\nname = '*'\n\
         upstreams = [{{ base_url = 'http://{}/v1' }}]",
        upstream.address
    );
    let server = spawn(&settings).expect("valid settings");
    let headers = [("x-mock-seed", "1")];
    let mocked = STREAM.replace("\"m\"", "\"mock-1\"");
    let reply = fetch(server.address(), &post(mocked, &headers));
    assert!(reply.text().contains("You"), "{}", reply.text());
    assert_eq!(upstream.counts(), (0, 0));
    let reply = fetch(server.address(), &post(STREAM, &headers));
    assert_eq!(reply.text(), reply.head.with_our_id(&whole()));
    assert_eq!(upstream.request().header("x-mock-seed"), None);
    let admin = fetch(server.address(), &request("GET", "/_mock/requests", &[]));
    admin.assert_refused(404, "unknown_url");
}
