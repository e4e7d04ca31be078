//! Upstreams that keep everybody waiting: each wait has a clock of its own.

use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokenfall::testing::spawn;

use crate::{
    chunks::{STREAM, WHOLE, completion, finish, frame, role, text, usage},
    gate::{Gate, let_pass},
    http::{fetch, post, request},
    proxy::{before, wait_until_idle},
    upstream::Script,
};

const GAP: Duration = Duration::from_millis(5);

#[test]
fn a_connection_that_is_not_accepted_runs_into_connect() {
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("a bound socket");
    let address = listener.local_addr().expect("a bound socket");
    // Fill the queue of those who wait to be accepted, until the kernel lets nobody in.
    let mut waiting = Vec::new();
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        match socket.connect_timeout(&address, Duration::from_millis(100)) {
            Ok(()) => waiting.push(socket),
            Err(_) => break,
        }
    }
    let port = address.as_socket().expect("an IP address").port();
    let server = spawn(&format!(
        "models = [{{ name = '*', connect = '50ms', upstreams = [\
         {{ base_url = 'http://127.0.0.1:{port}/v1' }}] }}]"
    ));
    let server = server.expect("valid settings");
    let reply = fetch(server.address(), &post(STREAM, &[]));
    let error = reply.assert_refused(504, "upstream_timeout");
    assert_eq!(error["param"], "connect");
    wait_until_idle(&server);
}

#[test]
fn silence_before_the_head_runs_into_first_chunk() {
    let settings = before(Script::silent().linger()).clock("first_chunk", "50ms");
    let proxy = settings.start();
    let reply = proxy.ask(STREAM);
    reply.assert_refused(504, "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn silence_after_the_head_runs_into_first_chunk() {
    let settings = before(Script::stream().linger()).clock("first_chunk", "50ms");
    let proxy = settings.start();
    let reply = proxy.ask(STREAM);
    reply.assert_refused(504, "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn silence_after_the_commit_is_an_error_event() {
    for script in [Script::silent().linger(), Script::stream().linger()] {
        let settings = before(script).clock("first_chunk", "1s");
        let proxy = settings.set("stream.commit_after", "'20ms'").start();
        let reply = proxy.ask(STREAM);
        reply.assert_breaks_off(":\n\n", "upstream_timeout");
        proxy.upstream.departure();
    }
}

#[test]
fn silence_in_the_middle_runs_into_between() {
    let script = Script::stream().event(&text("one")).linger();
    let proxy = before(script).clock("between", "50ms").start();
    let reply = proxy.ask(STREAM);
    reply.assert_breaks_off(&frame(&text("one")), "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn comments_are_no_progress() {
    let script = Script::stream().event(&text("one"));
    let script = script.for_ever(":\n\n", GAP);
    let proxy = before(script).clock("between", "100ms").start();
    let reply = proxy.ask(STREAM);
    reply.assert_breaks_off(&frame(&text("one")), "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn chunks_without_content_are_no_progress() {
    let empty = frame(&role());
    let script = Script::stream().event(&text("one")).for_ever(&empty, GAP);
    let proxy = before(script).clock("between", "100ms").start();
    let reply = proxy.ask(STREAM);
    let chunks = reply.text().matches(r#""content":"""#).count();
    let upstream = frame(&text("one")) + &empty.repeat(chunks);
    reply.assert_breaks_off(&upstream, "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn every_chunk_with_content_moves_between_off() {
    let script = Script::stream().for_ever(frame(&text("more ")), GAP);
    let settings = before(script).clock("between", "100ms");
    let proxy = settings.clock("total", "1s").start();
    let reply = proxy.ask(STREAM);
    let param = r#""param":"total","code":"upstream_timeout""#;
    assert!(reply.text().contains(param), "{}", reply.text());
}

#[test]
fn a_stream_without_end_runs_into_total() {
    let event = frame(&text("more "));
    let script = Script::stream().for_ever(&event, GAP);
    let proxy = before(script).clock("total", "1s").start();
    let reply = proxy.ask(STREAM);
    let chunks = reply.text().matches("more ").count();
    reply.assert_breaks_off(&event.repeat(chunks), "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn chatter_after_the_finish_does_not_extend_after_finish() {
    let script = Script::stream().event(&finish());
    let script = script.for_ever(frame(&usage()), GAP);
    let proxy = before(script).clock("after_finish", "50ms").start();
    proxy.ask(STREAM).assert_streams(&frame(&finish()));
    proxy.upstream.departure();
}

#[test]
fn a_whole_reply_that_never_comes_runs_into_total() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let scripts = [Script::silent(), Script::silent().send(head).send("{")];
    for script in scripts {
        let proxy = before(script.linger()).clock("total", "50ms").start();
        let reply = proxy.ask(WHOLE);
        reply.assert_refused(504, "upstream_timeout");
        proxy.upstream.departure();
    }
}

#[test]
fn a_whole_reply_is_not_cut_short_by_the_clocks_of_streams() {
    let gate = Gate::default();
    let json = completion();
    let body = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    );
    let settings = before(Script::silent().wait(&gate).send(body));
    let settings = settings
        .clock("first_chunk", "10ms")
        .clock("between", "10ms");
    let proxy = settings.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(WHOLE);
    proxy.upstream.request();
    // Longer than all of them.
    let_pass(Duration::from_millis(50));
    gate.open();
    let reply = client.reply();
    assert_eq!(reply.text(), reply.head.with_our_id(&completion()));
    wait_until_idle(&proxy.server);
}

#[test]
fn each_clock_is_told_apart() {
    let said = || Script::stream().event(&text("one"));
    for (clock, script) in [
        ("first_chunk", Script::silent()),
        ("between", said()),
        ("total", said()),
    ] {
        let proxy = before(script.linger()).clock(clock, "100ms").start();
        let reply = proxy.ask(STREAM);
        let param = format!("\"param\":\"{clock}\",\"code\":\"upstream_timeout\"");
        assert!(reply.text().contains(&param), "{}", reply.text());
        let metrics = fetch(proxy.address(), &request("GET", "/metrics", &[]));
        let cause = format!("cause=\"{clock}_timeout\"}} 1");
        assert!(metrics.text().contains(&cause), "{}", metrics.text());
    }
}
