//! The load generator: what it counts is what was sent, and what is wrong is told by its kind.

use std::{cell::RefCell, fs, io::Write, net::TcpListener, path::PathBuf, thread, time::Duration};

use serde_json::{Value, json};
use tokenfall::{
    client::load::{self, Ask, Load, Report, Tally, Target},
    testing::{TestServer, spawn},
};

use crate::{
    chunks::DONE,
    http::{fetch, request},
};

const PROFILE: &str = "
mock.profile = 'known'
[mock.profiles.known]
first_token = '150ms'
tokens_per_second = 40
";

fn load(streams: usize, requests: u64) -> Load {
    Load {
        streams,
        requests: Some(requests),
        duration: None,
        rate: None,
        patience: Duration::from_secs(60),
        reads_stamps: false,
    }
}

fn body(prompt: &str) -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": prompt}]})
}

fn run(url: &str, prompt: &str, load: &Load) -> Tally {
    let target = Target::new(url, Some("key"), &Ask::Chat(body(prompt))).expect("a target");
    let tally = RefCell::new(Tally::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(load::run(&target, load, &tally));
    tally.into_inner()
}

/// What the mock planned for each reply, in milliseconds: the first event, the mean gap between chunks
/// from the first token on, and how many events.
fn plans(server: &TestServer) -> Vec<(f64, f64, usize)> {
    let journal = fetch(server.address(), &request("GET", "/_mock/requests", &[])).json();
    let entries = journal["data"].as_array().expect("a list");
    let plan = |entry: &Value| {
        let times = entry["sent"]["planned_ms"].as_array().expect("times");
        let time = |at: usize| times[at].as_f64().expect("a time");
        // The first chunk has the role, the last one the reason to finish; then comes [DONE].
        let (token, last) = (1, times.len() - 2);
        let gap = (time(last) - time(token)) / (last - token) as f64;
        (time(0), gap, times.len())
    };
    entries.iter().map(plan).collect()
}

#[test]
fn its_times_agree_with_the_plan_of_the_mock() {
    let server = spawn(PROFILE).expect("valid settings");
    run(&server.base_url(), "warm", &load(1, 1));
    let tally = run(&server.base_url(), "Say anything.", &load(4, 12));
    assert_eq!(
        (tally.started, tally.completed, tally.failed()),
        (12, 12, 0)
    );
    assert_eq!((tally.open, tally.most_open), (0, 4));

    let plans = &plans(&server)[1..];
    let events: usize = plans.iter().map(|(_, _, events)| events).sum();
    assert_eq!(tally.chunks + tally.sentinels, events as u64, "every event");
    assert_eq!(tally.sentinels, 12);
    let (first_plan, gap_plan, _) = plans[0];
    // Sooner than planned is impossible, but for the width of a bucket; how much later the soonest of
    // twelve is does not depend on what else the machine does.
    let first = tally.first_token.quantile(0.01).as_secs_f64() * 1e3;
    let late = first / first_plan - 1.0;
    assert!((-0.01..0.33).contains(&late), "{first} for {first_plan}");
    // What is late is made up for by the next gap, so that their mean is the plan's.
    let gap = tally.gap.mean().as_secs_f64() * 1e3;
    let wrong = (gap / gap_plan - 1.0).abs();
    assert!(wrong < 0.1, "{gap} for {gap_plan}");
}

#[test]
fn what_is_wrong_with_a_stream_is_told_by_its_kind() {
    let faults = [
        ("cut@event=3", "truncated"),
        ("reset@event=3", "broken"),
        ("no_done", "truncated"),
        ("no_finish", "unfinished"),
        ("done_twice", "after_done"),
        ("malformed@event=2", "malformed"),
        ("error@event=4", "error_event"),
        ("status=503", "status_503"),
        ("content_type", "not_event_stream"),
        ("stall@event=2,for=5s", "timeout"),
    ];
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-faults");
    fs::create_dir_all(&folder).expect("made");
    for (fault, _) in faults {
        let scenario = format!(
            "match: {{ last_user: {{ equals: '{fault}' }} }}\nfault: '{fault}'\nreply: {{ text: one two three }}\n"
        );
        let name = format!("{}.yaml", fault.replace(['@', '=', ','], "-"));
        fs::write(folder.join(name), scenario).expect("written");
    }
    let settings = format!(
        "mock.profile = 'instant'\nmock.prompts = '{}'",
        folder.display()
    );
    let server = spawn(&settings).expect("valid settings");
    for (fault, kind) in faults {
        let patience = match kind {
            "timeout" => Duration::from_millis(300),
            _ => Duration::from_secs(60),
        };
        let load = Load {
            patience,
            ..load(2, 3)
        };
        let tally = run(&server.base_url(), fault, &load);
        let kinds: Vec<_> = tally.errors.keys().collect();
        assert_eq!(kinds, [kind], "{fault}: {:?}", tally.errors);
        assert_eq!(
            (tally.completed, tally.failed(), tally.open),
            (0, 3, 0),
            "{fault}"
        );
    }
}

#[test]
fn a_rate_is_kept_while_answers_are_slow() {
    let server = spawn(PROFILE).expect("valid settings");
    run(&server.base_url(), "warm", &load(1, 1));
    let open = Load {
        rate: Some(50.0),
        ..load(100, 10)
    };
    let tally = run(&server.base_url(), "Say anything.", &open);
    assert_eq!(tally.most_open, 10, "no answer was waited for");
    // One place: a stream that starts late counts from when it was due.
    let narrow = Load {
        rate: Some(50.0),
        ..load(1, 3)
    };
    let tally = run(&server.base_url(), "Say anything.", &narrow);
    assert_eq!(tally.most_open, 1);
    assert!(
        tally.total.max() > 2 * tally.total.quantile(0.3),
        "{:?}",
        tally.total.max()
    );
}

#[test]
fn connections_are_used_again_and_one_that_was_closed_meanwhile_is_no_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let body = format!("data: {chunk}\n\n{DONE}");
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = thread::spawn(move || {
        let mut connections = 0;
        for answers in [2, 1] {
            let (mut socket, _) = listener.accept().expect("a connection");
            connections += 1;
            for _ in 0..answers {
                read_request(&mut socket);
                socket.write_all(reply.as_bytes()).expect("sent");
            }
        }
        connections
    });
    let tally = run(&url, "x", &load(1, 3));
    assert_eq!(
        (tally.completed, tally.failed()),
        (3, 0),
        "{:?}",
        tally.errors
    );
    assert_eq!(server.join().expect("it ran"), 2);
}

fn read_request(socket: &mut std::net::TcpStream) {
    use std::io::Read;
    let (mut bytes, mut read) = (Vec::new(), [0; 4096]);
    while !bytes.ends_with(b"}") {
        let length = socket.read(&mut read).expect("a request");
        assert!(length > 0, "a whole request");
        bytes.extend_from_slice(&read[..length]);
    }
    let head = String::from_utf8_lossy(&bytes);
    assert!(
        head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("authorization: Bearer key\r\n"), "{head}");
}

#[test]
fn a_report_tells_the_same_as_text_and_as_json() {
    let server = spawn("mock.profile = 'instant'").expect("valid settings");
    let tally = run(&server.base_url(), "Say anything.", &load(2, 4));
    let processes = load::Processes::watch(&[std::process::id()]).expect("this one");
    let report = Report::new("http://x", Duration::from_secs(2), tally, &processes);
    let json = report.to_json();
    assert_eq!(json["streams"]["completed"], 4);
    assert_eq!(json["sentinels"], 4);
    assert_eq!(json["time_to_first_token_ms"]["count"], 4);
    assert_eq!(json.get("transit_ms"), None, "nothing was stamped");
    assert_eq!(json["processes"][0]["pid"], std::process::id());
    let text = report.to_text();
    assert!(
        text.contains("4 of 4 streams came whole, at most 2 at once"),
        "{text}"
    );
    assert!(
        text.contains(&format!("{} chunks", json["chunks"])),
        "{text}"
    );
}
