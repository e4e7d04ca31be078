//! The binary as a user has it: what it prints, how it fails, how it stops.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits for a process in real time"
)]

#[path = "it/started.rs"]
mod started;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use started::Started;

const BINARY: &str = env!("CARGO_BIN_EXE_tokenfall");

fn run(args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of this content, named after the test that needs it.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("written");
    path
}

/// A running server, with these variables in its environment.
fn serve(args: &[&str], settings: &[(&str, &str)]) -> Started {
    Started::run(
        Command::new(BINARY)
            .args(args)
            .envs(settings.iter().copied())
            .env("TOKENFALL__SERVER__LOG", "off")
            .stdin(Stdio::piped())
            .stderr(Stdio::null()),
    )
}

impl Started {
    /// A stream whose first bytes have come.
    fn open_stream(&self) -> TcpStream {
        let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}"#;
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        let length = body.len();
        write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
            .expect("sent");
        let mut first = [0; 15];
        stream.read_exact(&mut first).expect("a reply");
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        stream
    }

    /// The exit code, once it has ended.
    fn code(mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            if Instant::now() > deadline {
                self.child.kill().expect("killed");
                panic!("it did not stop");
            }
            std::thread::yield_now();
        }
    }
}

#[test]
fn with_no_arguments_it_serves_the_mock_at_once_and_its_curl_line_works() {
    let before = Instant::now();
    let mut running = serve(&["--port", "0", "--instant"], &[]);
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
    let mut line = String::new();
    running.stdout.read_line(&mut line).expect("a line");
    assert!(
        running
            .greeting
            .contains(&format!("http://{}/docs", running.address()))
    );
    let curl = running.greeting.find("curl").expect("a curl line");
    let command = Command::new("sh")
        .arg("-c")
        .arg(&running.greeting[curl..])
        .output();
    let output = text(&command.expect("a shell").stdout);
    assert!(output.starts_with("data: {\"id\":\"chatcmpl-"), "{output}");
    assert!(output.ends_with("data: [DONE]\n\n"), "{output}");
    running.signal(Signal::TERM);
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_pipe_that_is_closed_does_not_stop_it() {
    let mut running = serve(&["--port", "0"], &[]);
    let (reader, _) = std::io::pipe().expect("a pipe");
    let rest = std::mem::replace(
        &mut running.stdout,
        BufReader::new(ChildStdout::from(OwnedFd::from(reader))),
    );
    drop(rest);
    drop(running.open_stream());
    let closed = Command::new("sh")
        .arg("-c")
        .arg(format!("{BINARY} openapi | head -c 1"))
        .output();
    let closed = closed.expect("a shell");
    assert!(closed.stderr.is_empty(), "{}", text(&closed.stderr));
}

#[test]
fn a_wrong_setting_is_named_with_file_line_and_reason_and_the_code_is_2() {
    let path = file("wrong.toml", "[stream]\n\nheartbeat = \"9ms\"\n");
    let path = path.to_str().expect("a path");
    for command in [
        &["check", "--config", path][..],
        &["serve", "--config", path],
    ] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        let expected =
            format!("tokenfall: {path}:3: stream.heartbeat: expected a duration of at least 10ms");
        assert!(error.starts_with(&expected), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_wrong_flag_and_a_missing_file_are_code_2_as_well() {
    for args in [
        &["--port", "70000"][..],
        &["--upstream", "ftp://x"],
        &[
            "--upstream",
            "http://x",
            "--upstream-key-env",
            "TOKENFALL_NO_SUCH_VARIABLE",
        ],
        &["--upstream-key-env", "PATH"],
        &["serve", "--config", "/no/such/file.toml"],
        &["--frobnicate"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn an_upstream_key_beyond_this_machine_needs_a_word() {
    let args = [
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--upstream",
        "http://127.0.0.1:1/v1",
        "--upstream-key-env",
        "PATH",
    ];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("--host: server.host: ") && error.contains("--open"),
        "{error}"
    );
    let open = serve(&[&args[..], &["--open"]].concat(), &[]);
    open.signal(Signal::TERM);
    assert_eq!(open.code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let running = serve(&["--port", "0"], &[]);
    let port = running
        .address()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    let output = run(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{error}"
    );
    running.signal(Signal::TERM);
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_valid_file_passes_the_check() {
    let path = file("right.toml", "[mock]\nprofile = \"instant\"\n");
    let output = run(&["check", "--config", path.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn all_settings_are_printed_as_a_file_that_passes_the_check() {
    let printed = text(&run(&["config"]).stdout);
    assert!(printed.contains("\nport = 8080\n"), "{printed}");
    let path = file("all.toml", &printed);
    let output = run(&["check", "--config", path.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_document_is_printed_and_the_committed_one_checked() {
    let printed = run(&["openapi"]).stdout;
    assert!(printed == include_bytes!("../openapi/openapi.json"));
    let printed = run(&["openapi", "--version", "3.1"]).stdout;
    assert!(printed == include_bytes!("../openapi/openapi-3.1.json"));
    assert_eq!(run(&["openapi", "--check"]).status.code(), Some(0));
    let elsewhere = Command::new(BINARY)
        .args(["openapi", "--check"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output();
    let elsewhere = elsewhere.expect("the binary runs");
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(text(&elsewhere.stderr).contains("openapi/openapi.json"));
}

#[test]
fn a_stop_lets_a_live_stream_finish() {
    let running = serve(&["--port", "0"], &[]);
    let mut stream = running.open_stream();
    running.signal(Signal::TERM);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("\"finish_reason\":\"stop\""), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{rest}");
    assert_eq!(running.code(), Some(0));
}

#[test]
fn it_stops_when_its_input_ends_if_told_to() {
    let mut running = serve(&["--port", "0", "--stop-at-eof"], &[]);
    running.child.stdin = None;
    assert_eq!(running.code(), Some(0));
    let mut running = serve(&["--port", "0", "--instant"], &[]);
    running.child.stdin = None;
    drop(running.open_stream());
    running.signal(Signal::TERM);
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let running = serve(&["--port", "0"], &[("TOKENFALL__MOCK__PROFILE", "local")]);
    let mut stream = running.open_stream();
    running.signal(Signal::INT);
    // The first was taken when new work is refused.
    let is_draining = || {
        let mut probe = TcpStream::connect(running.address()).expect("a connection");
        write!(
            probe,
            "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut reply = String::new();
        probe.read_to_string(&mut reply).expect("a reply");
        reply.starts_with("HTTP/1.1 503")
    };
    while !is_draining() {}
    running.signal(Signal::INT);
    assert_eq!(running.code(), Some(130));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert!(!rest.contains("[DONE]"), "{rest}");
}

/// The body of the reply to a question, its transfer encoding taken off.
fn answer(address: &str, question: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = question.len();
    write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{question}")
        .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
    if !reply.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    // The sizes of chunks stand on lines of their own, which end in CR LF.
    let (mut text, mut rest) = (String::new(), body);
    while let Some((size, following)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        text.push_str(&following[..size]);
        rest = &following[size + 2..];
        if size == 0 {
            break;
        }
    }
    text
}

const QUESTION: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Where is it?"}]}"#;

#[test]
fn what_is_recorded_is_replayed_and_checked_against_the_server() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("recorded");
    // There may be none yet.
    let _ = fs::remove_dir_all(&folder);
    let folder = folder.to_str().expect("a path");
    let model = serve(&["--port", "0", "--instant", "--deterministic"], &[]);
    let upstream = format!("http://{}/v1", model.address());
    let recording = [
        "record",
        "--port",
        "0",
        "--upstream",
        &upstream,
        "--cassettes",
        folder,
    ];
    let recorder = serve(&recording, &[]);
    assert!(
        recorder
            .greeting
            .contains(&format!("{upstream}, recorded in {folder}/")),
        "{}",
        recorder.greeting
    );
    let whole = QUESTION.replace("\"stream\":true,", "");
    for question in [QUESTION, &whole] {
        answer(recorder.address(), question);
    }
    recorder.signal(Signal::TERM);
    assert_eq!(recorder.code(), Some(0));

    let replay = serve(&["--port", "0", "--instant", "--cassettes", folder], &[]);
    for question in [QUESTION, &whole] {
        let sent = answer(model.address(), question);
        assert!(sent.contains("chatcmpl-"), "{sent}");
        assert_eq!(answer(replay.address(), question), sent);
    }
    let refused = answer(replay.address(), &QUESTION.replace("Where", "there"));
    assert!(refused.contains("mock_no_cassette"), "{refused}");
    replay.signal(Signal::TERM);
    assert_eq!(replay.code(), Some(0));

    let checked = run(&["check", "--cassettes", folder, "--against", &upstream]);
    let report = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{report}");
    assert!(report.ends_with("2 as recorded, 0 drifted.\n"), "{report}");
    model.signal(Signal::TERM);
    assert_eq!(model.code(), Some(0));

    let other = ["--port", "0", "--instant", "--dialect", "vllm"];
    let other = serve(&other, &[]);
    let upstream = format!("http://{}/v1", other.address());
    let checked = run(&["check", "--cassettes", folder, "--against", &upstream]);
    let report = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{report}");
    assert!(
        report.contains("chunk.system_fingerprint: disappeared (was string)"),
        "{report}"
    );
    other.signal(Signal::TERM);
    assert_eq!(other.code(), Some(0));
    let checked = run(&["check", "--cassettes", folder, "--against", &upstream]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("could not be asked: "));
}

#[test]
fn a_cassette_that_cannot_be_is_named_with_its_line() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wrong-cassettes");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("a.yaml"), "version: 1\nrequest: 7\n").expect("written");
    let folder = folder.to_str().expect("a path");
    for command in [
        &["check", "--cassettes", folder][..],
        &["serve", "--port", "0", "--cassettes", folder],
    ] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        // What runs has a log before it.
        let expected = format!("tokenfall: {folder}/a.yaml:2: request: ");
        assert!(error.contains(&expected), "{error}");
    }
    for args in [
        &["--on-miss", "mock"][..],
        &["--cassettes", "/tmp", "--on-miss", "record"],
        &["--cassettes", "/tmp", "--upstream", "http://x"],
        &["--cassettes", "/tmp", "--on-miss", "perhaps"],
        &["--cassettes", "/no/such/folder"],
        &["record", "--cassettes", "/tmp"],
        &["check", "--against", "http://x"],
        &["check", "--cassettes", "tests", "--against", "ftp://x"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_load_is_told_as_text_json_and_a_page_and_one_stream_that_is_not_whole_fails_it() {
    let model = serve(&["--port", "0", "--instant"], &[]);
    let url = format!("http://{}/v1", model.address());
    let page = file("load.html", "");
    let page_path = page.to_str().expect("a path");
    let args = ["bench", &url, "--requests", "3", "--html", page_path];
    let told = run(&args);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("3 of 3 streams came whole"));
    assert!(told.stderr.is_empty(), "progress is for terminals");
    let page = fs::read_to_string(page).expect("written");
    assert!(page.contains("<svg") && !page.contains("<script"));

    let told = run(&[
        "bench",
        &url,
        "--duration",
        "200ms",
        "--json",
        "--rate",
        "50",
    ]);
    assert!(
        text(&told.stdout).contains("\"completed\": 10,"),
        "{}",
        text(&told.stdout)
    );
    let told = run(&["bench", &format!("{url}/nothing"), "--requests", "2"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("2 of 2 streams did not come whole"));
    assert!(text(&told.stdout).contains("2 × status_404"));
    for args in [
        &["bench"][..],
        &["bench", "ftp://x"],
        &["bench", "x"],
        &["bench", &url, "--streams", "0"],
        &["bench", &url, "--streams", "60001"],
        &["bench", &url, "--rate", "0"],
        &["bench", &url, "--duration", "soon"],
        &["bench", &url, "--api-key-env", "NO_SUCH_KEY"],
        &["bench", &url, "--html", "/no/such/folder/x.html"],
        &["bench", &url, "--pid", "4294967295"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn usage_records_stand_on_standard_output_after_the_greeting() {
    let settings = [("TOKENFALL__USAGE__SINK", "stdout")];
    let server = serve(&["serve", "--port", "0", "--instant"], &settings);
    let mut stream = server.open_stream();
    let mut reply = Vec::new();
    let end = b"data: [DONE]\n\n";
    while !reply.windows(end.len()).any(|bytes| bytes == end) {
        let mut read = [0; 4096];
        let count = stream.read(&mut read).expect("a reply");
        assert!(count > 0, "{}", String::from_utf8_lossy(&reply));
        reply.extend_from_slice(&read[..count]);
    }
    server.signal(Signal::TERM);
    let mut server = server;
    let mut rest = String::new();
    server.stdout.read_to_string(&mut rest).expect("text");
    let records: Vec<serde_json::Value> = rest
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(records.len(), 1, "{rest}");
    assert_eq!(records[0]["end"], "completed", "{rest}");
    assert_eq!(server.code(), Some(0));
}

#[test]
fn the_first_stream_of_all_is_told_that_the_server_lives_before_the_first_token() {
    let settings = [
        ("TOKENFALL__STREAM__COMMIT_AFTER", "10ms"),
        ("TOKENFALL__STREAM__HEARTBEAT", "20ms"),
    ];
    // The tokenizer is loaded for it, which takes longer than the commit waits; the token, half a minute.
    let server = serve(&["--port", "0", "--speed", "0.01"], &settings);
    let lines = BufReader::new(server.open_stream()).lines();
    let mut lines = lines.map(|line| line.expect("a line"));
    let first = lines.find(|line| line.starts_with("data:") || line == ":");
    assert_eq!(first.as_deref(), Some(":"));
}

#[test]
fn health_is_success_while_new_work_is_taken_and_failure_after() {
    let server = serve(&["serve", "--port", "0", "--speed", "0.1"], &[]);
    let url = format!("http://{}", server.address());
    // A proxy is not asked about this machine.
    let health = || {
        Command::new(BINARY)
            .args(["health", &url])
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .output()
            .expect("the binary runs")
    };
    let ready = health();
    assert_eq!(ready.status.code(), Some(0), "{}", text(&ready.stderr));
    assert_eq!(text(&ready.stdout), "{\"status\":\"ok\"}\n");
    let stream = server.open_stream();
    server.signal(Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut draining = health();
    while draining.status.success() && Instant::now() < deadline {
        draining = health();
    }
    assert_eq!(draining.status.code(), Some(1));
    let error = text(&draining.stderr);
    assert_eq!(error, "tokenfall: 503: {\"status\":\"draining\"}\n");
    drop(stream);
    server.signal(Signal::INT);
    server.signal(Signal::INT);
    server.code();
    assert_eq!(health().status.code(), Some(1), "nobody is there");
    assert_eq!(run(&["health", "ftp://x"]).status.code(), Some(2));
}
