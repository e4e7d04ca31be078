//! Recorded once, replayed byte for byte; nothing else is answered, and no secret is kept.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, role, text, usage},
    gate::wait_until,
    http::{Connection, fetch, post, request},
    proxy::{Proxy, before, wait_until_idle},
    reply::Reply,
    upstream::Script,
};

mod secrets;

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("cassettes")
        .join(name);
    // There may be none yet.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("made");
    folder
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let text = fs::read_to_string(entry.path()).expect("a text");
            (entry.file_name().into_string().expect("a name"), text)
        })
        .collect();
    files.sort();
    files
}

fn set(folder: &Path) -> String {
    format!("'{}'", folder.display())
}

/// A server that records everything that this upstream says.
fn recording(script: Script, folder: &Path) -> Proxy {
    before(script)
        .set("mock.cassettes", &set(folder))
        .set("mock.on_miss", "'record'")
        .set("mock.rerecord", "true")
        .start()
}

fn replaying_with(folder: &Path, more: &str) -> TestServer {
    let settings = format!("mock.cassettes = {}\n{more}", set(folder));
    spawn(&settings).expect("valid settings")
}

/// A server that replays without the recorded gaps.
fn replaying(folder: &Path) -> TestServer {
    replaying_with(folder, "mock.profile = 'instant'")
}

fn ask(server: &TestServer, body: &str) -> Reply {
    ask_with(server.address(), body, &[])
}

fn ask_with(address: SocketAddr, body: &str, headers: &[(&str, &str)]) -> Reply {
    fetch(address, &post(body, headers))
}

/// The chunks of the transfer encoding.
fn pieces(server: &TestServer, body: &str, headers: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(server.address());
    connection.send(&post(body, headers));
    assert_eq!(connection.head().status, 200);
    std::iter::from_fn(|| connection.chunk()).collect()
}

/// A stream that upstreams send, cut into pieces of so many bytes.
fn cut(size: usize) -> (Vec<Vec<u8>>, Script) {
    let events = [role(), text("Où 🌊"), finish(), usage()].map(|json| frame(&json));
    let all = events.concat() + DONE;
    let pieces: Vec<_> = all.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
    let script = pieces.iter().fold(Script::stream(), Script::chunk);
    (pieces, script.end())
}

#[test]
fn a_stream_is_replayed_in_its_bytes_and_in_the_pieces_it_was_read_in() {
    for size in [1, 7, 100, 10_000] {
        let folder = folder(&format!("stream-{size}"));
        let (sent, script) = cut(size);
        let proxy = recording(script, &folder);
        // Who records gets what the proxy gives.
        let recorded = proxy.ask(STREAM);
        let sent_text = String::from_utf8(sent.concat()).expect("UTF-8");
        assert!(recorded.text().ends_with(DONE));
        assert!(!recorded.text().contains(crate::chunks::ID));
        drop(proxy);
        let server = replaying(&folder);
        assert_eq!(ask(&server, STREAM).text(), sent_text);
        assert_eq!(pieces(&server, STREAM, &[]), sent, "{size}");
    }
}

#[test]
fn what_is_no_text_and_what_no_client_can_use_is_replayed_too() {
    let folder = folder("broken");
    let mut script = Script::stream();
    let sent = [
        &b"data: {\"id\":\"\xff\xfe\"}\n\n"[..],
        b"data: {\r\n\r\n",
        b": \x00\n\ntail",
    ];
    for piece in sent {
        script = script.chunk(piece);
    }
    let proxy = recording(script.end(), &folder);
    proxy.ask(STREAM).assert_refused(502, "upstream_malformed");
    drop(proxy);
    let reply = ask(&replaying(&folder), STREAM);
    assert_eq!(reply.body, sent.concat());
}

#[test]
fn a_whole_completion_is_replayed_with_its_type() {
    let folder = folder("whole");
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("openai-processing-ms", "17"),
    ];
    let script = Script::reply("200 OK", &headers, &completion());
    drop(recording(script, &folder).ask(WHOLE));
    let reply = ask(&replaying(&folder), WHOLE);
    assert_eq!(reply.text(), completion());
    for (name, value) in headers {
        assert_eq!(reply.head.header(name), Some(value));
    }
}

#[test]
fn a_refusal_is_replayed_with_its_status_body_and_headers() {
    let cases = [
        (
            "429 Too Many Requests",
            "application/json",
            r#"{ "error": {"message": "Slow down."} }"#,
        ),
        (
            "401 Unauthorized",
            "application/json",
            r#"{"error":{"message":"No."}}"#,
        ),
        ("502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>\n"),
        ("500 Internal Server Error", "text/plain", ""),
    ];
    for (status, kind, body) in cases {
        for asked in [STREAM, WHOLE] {
            let folder = folder("refusal");
            let headers = [("content-type", kind), ("retry-after", "7")];
            drop(recording(Script::reply(status, &headers, body), &folder).ask(asked));
            let reply = ask(&replaying(&folder), asked);
            assert_eq!(reply.head.status.to_string(), status[..3]);
            assert_eq!(reply.text(), body);
            for (name, value) in headers {
                assert_eq!(reply.head.header(name), Some(value), "{name}");
            }
        }
    }
}

#[test]
fn a_request_that_differs_in_one_character_is_refused_with_what_differs() {
    let folder = folder("differs");
    drop(recording(cut(100).1, &folder).ask(STREAM));
    let (name, _) = files(&folder).remove(0);
    let server = replaying(&folder);
    let reply = ask(&server, &STREAM.replace("Hi", "Ho"));
    let error = reply.assert_refused(404, "mock_no_cassette");
    let message = error["message"].as_str().expect("a message");
    let expected = format!(
        "No cassette has this request. From the nearest, {name}, it differs in:\n  \
         messages[0].content: recorded \"Hi\", asked \"Ho\""
    );
    assert_eq!(message, expected);
    assert_eq!(reply.head.header("x-should-retry"), Some("false"));
    // The order of members is not a difference; a member more is.
    let turned = r#"{"messages":[{"content":"Hi","role":"user"}],"stream":true,"model":"m"}"#;
    assert_eq!(ask(&server, turned).head.status, 200);
    let error = ask(&server, WHOLE).assert_refused(404, "mock_no_cassette");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.ends_with("\n  stream: recorded true, not asked"),
        "{message}"
    );
}

#[test]
fn a_request_that_the_mock_would_refuse_is_replayed_too() {
    let folder = folder("refused-by-the-mock");
    let odd = WHOLE.replacen('{', r#"{"response_format":{"type":"nonsense"},"#, 1);
    drop(recording(Script::json(&completion()), &folder).ask(&odd));
    let settings = "mock.profile = 'instant'\nmock.on_miss = 'mock'";
    for server in [replaying(&folder), replaying_with(&folder, settings)] {
        assert_eq!(ask(&server, &odd).text(), completion());
        let other = odd.replace("Hi", "Ho");
        assert!((400..500).contains(&ask(&server, &other).head.status));
    }
}

#[test]
fn with_no_cassette_at_all_that_is_said() {
    let error = ask(&replaying(&folder("none")), WHOLE).assert_refused(404, "mock_no_cassette");
    assert_eq!(
        error["message"],
        "No cassette has this request: there are none."
    );
}

#[test]
fn the_mock_can_answer_what_no_cassette_has() {
    let settings = "mock.profile = 'instant'\nmock.on_miss = 'mock'";
    let server = replaying_with(&folder("mock"), settings);
    assert_eq!(ask(&server, WHOLE).head.status, 200);
}

#[test]
fn what_is_missing_is_recorded_once_and_replayed_from_then_on() {
    let folder = folder("missing");
    let proxy = before(Script::json(&completion()))
        .set("mock.cassettes", &set(&folder))
        .set("mock.on_miss", "'record'")
        .set("mock.profile", "'instant'")
        .start();
    assert_ne!(
        proxy.ask(WHOLE).text(),
        completion(),
        "the proxy's, with our id"
    );
    for _ in 0..2 {
        assert_eq!(proxy.ask(WHOLE).text(), completion());
    }
    assert_eq!(proxy.upstream.counts().1, 1);
    drop(proxy.ask(&WHOLE.replace("Hi", "Ho")));
    assert_eq!(proxy.upstream.counts().1, 2);
    let names: Vec<_> = files(&folder).into_iter().map(|(name, _)| name).collect();
    assert!(
        names[0].starts_with("hi-") && names[1].starts_with("ho-"),
        "{names:?}"
    );
}

#[test]
fn the_same_request_recorded_again_replaces_the_cassette_under_its_name() {
    let folder = folder("again");
    drop(recording(Script::json(&completion()), &folder).ask(WHOLE));
    let (name, _) = files(&folder).remove(0);
    fs::rename(folder.join(name), folder.join("renamed.yml")).expect("renamed");
    let other = completion().replace("Hello", "Goodbye");
    drop(recording(Script::json(&other), &folder).ask(WHOLE));
    let kept = files(&folder);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].0, "renamed.yml");
    assert_eq!(ask(&replaying(&folder), WHOLE).text(), other);
}

#[test]
fn an_exchange_that_breaks_off_is_not_kept_and_one_that_only_lingers_is() {
    let lost = folder("lost");
    let script = Script::stream().event(&role()).event(&text("a"));
    drop(recording(script, &lost).ask(STREAM));
    assert_eq!(files(&lost), []);
    let lingering = folder("lingering");
    let script = Script::stream().event(&role()).event(&finish()).chunk(DONE);
    drop(recording(script.linger(), &lingering).ask(STREAM));
    let expected = frame(&role()) + &frame(&finish()) + DONE;
    assert_eq!(ask(&replaying(&lingering), STREAM).text(), expected);
}

#[test]
fn a_recording_is_finished_though_its_client_has_left() {
    let folder = folder("left");
    let gate = crate::gate::Gate::default();
    let script = Script::stream().event(&role()).event(&text("a"));
    let script = script.wait(&gate).event(&finish()).done();
    let proxy = before(script)
        .set("mock.cassettes", &set(&folder))
        .set("mock.on_miss", "'record'")
        .set("stream.on_disconnect", "'detach'")
        .start();
    let mut connection = proxy.open(STREAM);
    assert_eq!(connection.head().status, 200);
    connection.chunks_until("\"content\":\"a\"");
    drop(connection);
    wait_until("the client to be gone", || proxy.server.streams() == 0);
    gate.open();
    wait_until_idle(&proxy.server);
    assert_eq!(files(&folder).len(), 1);
}

/// A cassette of [`STREAM`] with a frame after each of these times.
fn timed(folder: &Path, times: &[&str]) -> String {
    let frames = times.iter().enumerate();
    let frames: String = frames
        .map(|(at, after)| format!("  - {{ after: {after}, text: \"data: {at}\\n\\n\" }}\n"))
        .collect();
    let cassette = format!(
        "version: 1\nrequest:\n  path: /v1/chat/completions\n  body: '{STREAM}'\n\
         response:\n  status: 200\n  headers: {{ content-type: text/event-stream }}\n  frames:\n{frames}"
    );
    fs::write(folder.join("timed.yaml"), cassette).expect("written");
    (0..times.len())
        .map(|at| format!("data: {at}\n\n"))
        .collect()
}

#[test]
fn the_recorded_gaps_are_kept_times_the_speed_and_no_heartbeat_is_in_them() {
    let folder = folder("timed");
    let expected = timed(&folder, &["0ms", "150ms"]);
    let heartbeats = "stream.heartbeat = '10ms'\nstream.commit_after = '10ms'\n";
    let server = replaying_with(&folder, heartbeats);
    let start = Instant::now();
    assert_eq!(ask(&server, STREAM).text(), expected);
    assert!(start.elapsed().as_millis() >= 150, "{:?}", start.elapsed());
    // Half an hour, a million times as fast: it ends before anyone's patience does.
    let expected = timed(&folder, &["0ms", "30m"]);
    let server = replaying_with(&folder, heartbeats);
    let reply = ask_with(server.address(), STREAM, &[("x-mock-speed", "1000000")]);
    assert_eq!(reply.text(), expected);
    assert_eq!(ask(&replaying(&folder), STREAM).text(), expected);
}

#[test]
fn the_wire_plan_is_played_on_a_cassette_too() {
    let folder = folder("planned");
    let expected = timed(&folder, &["0ms", "0ms"]);
    let server = replaying(&folder);
    let bytes = pieces(&server, STREAM, &[("x-mock-wire", "bytes=3")]);
    assert!(bytes.iter().all(|piece| piece.len() <= 3), "{bytes:?}");
    assert_eq!(bytes.concat(), expected.as_bytes());
    let refused = ask_with(server.address(), STREAM, &[("x-mock-fault", "status=503")]);
    assert_eq!(refused.head.status, 503);
}

#[test]
fn a_replayed_stream_is_followed_as_it_was_sent() {
    let folder = folder("followed");
    let expected = timed(&folder, &["0ms", "0ms", "0ms"]);
    let server = replaying(&folder);
    let reply = ask(&server, STREAM);
    let id = reply.head.header("x-completion-id").expect("an id");
    let path = format!("/v1/chat/completions/{id}?stream=true&starting_after=1");
    let rest = fetch(server.address(), &request("GET", &path, &[]));
    assert_eq!(
        rest.text(),
        &expected[expected.find("data: 1").expect("an event")..]
    );
}

#[test]
fn two_cassettes_of_one_request_are_an_error_that_names_both() {
    let folder = folder("twice");
    timed(&folder, &["0ms"]);
    fs::copy(folder.join("timed.yaml"), folder.join("copy.yaml")).expect("copied");
    let settings = format!("mock.cassettes = {}", set(&folder));
    assert!(spawn(&settings).is_err());
}

#[test]
fn a_legacy_completion_has_a_cassette_of_its_own_path() {
    let folder = folder("legacy");
    let body = r#"{"model":"m","prompt":"Once upon a time"}"#;
    let length = body.len().to_string();
    let head = request("POST", "/v1/completions", &[("content-length", &length)]);
    let asked = [&head[..], body.as_bytes()].concat();
    let sent = r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"x","index":0,"finish_reason":"stop"}]}"#;
    let proxy = recording(Script::json(sent), &folder);
    assert_eq!(fetch(proxy.address(), &asked).head.status, 200);
    wait_until_idle(&proxy.server);
    let (name, text) = files(&folder).remove(0);
    assert!(name.starts_with("once-upon-a-time-"), "{name}");
    assert!(text.contains("path: \"/v1/completions\""), "{text}");
    assert_eq!(fetch(replaying(&folder).address(), &asked).text(), sent);
}
