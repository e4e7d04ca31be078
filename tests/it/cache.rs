//! Requests that are the same and share an answer: while it is under way, and once it has ended.

mod failing;
mod finished;
mod in_flight;
mod leaving;
mod limits;
mod nodes;

use crate::{
    chunks::{DONE, finish, frame, stream_with, text, usage},
    gate::{Gate, wait_until},
    http::{Connection, fetch, request},
    proxy::{Proxy, Settings, before},
    reply::{Head, Reply},
    upstream::Script,
};

const IN_FLIGHT: &str = "{ share = 'in_flight' }";
const FINISHED: &str = "{ share = 'finished' }";

/// A server in front of an upstream that plays this script, whose answers are shared like this.
fn sharing(script: Script, cache: &str) -> Settings {
    before(script).model("cache", cache)
}

/// A request for a stream whose answer may be shared, with one more member.
fn asking(member: &str) -> String {
    stream_with(&format!(r#""temperature":0,{member}"#))
}

fn stream() -> String {
    stream_with(r#""temperature":0"#)
}

/// The same request, not streamed.
fn whole() -> String {
    stream().replace(r#""stream":true,"#, "")
}

/// Says one word, and the other once the gate is open.
fn two_words(gate: &Gate) -> Script {
    let script = Script::stream().event(&text("one")).wait(gate);
    let script = script.event(&text("two")).event(&finish());
    script.event(&usage()).done()
}

/// What a client gets of [`two_words`].
fn words() -> String {
    [text("one"), text("two"), finish()]
        .map(|json| frame(&json))
        .concat()
}

fn open_gate() -> Gate {
    let gate = Gate::default();
    gate.open();
    gate
}

/// A client that has read a part of its stream.
struct Client {
    connection: Connection,
    head: Head,
    read: String,
}

impl Client {
    /// One that has read up to `one`.
    fn of(proxy: &Proxy, body: &str) -> Self {
        let mut connection = proxy.open(body);
        let head = connection.head();
        let read = connection.chunks_until("one");
        Self {
            connection,
            head,
            read,
        }
    }

    fn outcome(&self) -> Option<&str> {
        self.head.header("x-stream-cache")
    }

    fn id(&self) -> String {
        let id = self.head.header("x-completion-id");
        id.expect("an id").to_owned()
    }

    fn cancel(&self, proxy: &Proxy) -> Reply {
        let path = format!("/v1/chat/completions/{}/cancel", self.id());
        fetch(proxy.address(), &request("POST", &path, &[]))
    }

    fn rest(mut self) -> Reply {
        self.connection.rest(self.head, self.read)
    }
}

fn outcome(reply: &Reply) -> Option<&str> {
    reply.head.header("x-stream-cache")
}

/// How many requests came to the upstream.
fn asked(proxy: &Proxy) -> usize {
    proxy.upstream.counts().1
}

/// Waits until so many generations are under way, sources included.
fn wait_for_generations(proxy: &Proxy, count: usize) {
    wait_until("the generations", || proxy.server.generations() == count);
}

/// Waits until so many requests have joined another's answer.
fn wait_for_shared(proxy: &Proxy, count: usize) {
    let line = format!("tokenfall_cache_total{{model=\"*\",outcome=\"shared\"}} {count}\n");
    let metrics = request("GET", "/metrics", &[]);
    wait_until("the answer to be shared", || {
        fetch(proxy.address(), &metrics).text().contains(&line)
    });
}

/// A stream that ended well.
fn with_done(events: &[String]) -> String {
    let frames: Vec<_> = events.iter().map(|json| frame(json)).collect();
    frames.concat() + DONE
}
