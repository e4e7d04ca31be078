//! Nodes on one Redis: a finished answer is every node's, one under way the node's that makes it.

use tokenfall::testing::{TestServer, spawn};

use super::{FINISHED, outcome, stream, two_words, words};
use crate::{
    gate::{Gate, wait_until},
    http::{Connection, fetch, post, request},
    proxy::wait_until_idle,
    redis::Redis,
    upstream::Upstream,
};

fn node(redis: &Redis, upstream: &Upstream) -> TestServer {
    let settings = format!(
        "store = {{ kind = 'redis', url = '{}' }}\nauth.ticket_secret = 'the same on every node'\n\
         [[models]]\nname = '*'\ncache = {FINISHED}\nupstreams = [{{ base_url = 'http://{}/v1' }}]",
        redis.url(),
        upstream.address
    );
    let node = spawn(&settings).expect("valid settings");
    let readyz = request("GET", "/readyz", &[]);
    wait_until("the store", || {
        fetch(node.address(), &readyz).head.status == 200
    });
    node
}

#[test]
fn a_finished_answer_is_found_on_every_node() {
    let redis = Redis::start();
    let gate = Gate::default();
    let upstream = Upstream::play(two_words(&gate));
    let (a, b) = (node(&redis, &upstream), node(&redis, &upstream));
    let ask = |node: &TestServer| {
        let mut connection = Connection::open(node.address());
        connection.send(&post(stream(), &[]));
        connection
    };
    let mut first = ask(&a);
    upstream.request();
    let mut second = ask(&b);
    wait_until("both", || upstream.counts().1 == 2);
    gate.open();
    for connection in [&mut first, &mut second] {
        let reply = connection.reply();
        assert_eq!(outcome(&reply), Some("miss"), "each node asks for itself");
        reply.assert_streams(&words());
    }
    wait_until_idle(&a);
    wait_until_idle(&b);
    let c = node(&redis, &upstream);
    for node in [&a, &b, &c] {
        let reply = ask(node).reply();
        assert_eq!(outcome(&reply), Some("hit"));
        reply.assert_streams(&words());
    }
    assert_eq!(upstream.counts().1, 2);
    let keys = redis.ask("KEYS *").expect("an answer");
    assert!(keys.contains("{answers}"), "{keys}");
}

#[test]
fn an_answer_outlives_the_node_that_had_it() {
    let redis = Redis::start();
    let gate = Gate::default();
    gate.open();
    let upstream = Upstream::play(two_words(&gate));
    let a = node(&redis, &upstream);
    let first = fetch(a.address(), &post(stream(), &[]));
    first.assert_streams(&words());
    wait_until_idle(&a);
    a.stop();
    let b = node(&redis, &upstream);
    let second = fetch(b.address(), &post(stream(), &[]));
    assert_eq!(outcome(&second), Some("hit"));
    second.assert_streams(&words());
    assert_eq!(upstream.counts().1, 1);
}
