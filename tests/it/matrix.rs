//! Each way of an upstream to fail × one upstream or two × before the commit or after it: what the
//! client gets, who was asked, what is written down and counted, and that nothing is left over.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;
use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{DONE, STREAM, finish, frame, role, text, usage},
    gate::Gate,
    http::{Connection, fetch, post, request},
    proxy::wait_until_idle,
    reply::Reply,
    upstream::{Script, Upstream},
    usage::Records,
};

const ERROR: &str = r#"{"error":{"message":"no","type":"x","param":null,"code":"c"}}"#;
/// "user" is one token, "Hi" another; six are around them. The answer is one.
const PROMPT: u64 = 8;

/// A way to fail.
struct Fault {
    name: &'static str,
    /// `None`: nobody listens.
    script: Option<Script>,
    outcome: Outcome,
    /// It is for us to go away.
    lingers: bool,
}

/// What becomes of it without anybody else to ask.
#[derive(Clone, Copy)]
enum Outcome {
    /// It fails before any content: the status, the code, how it ends, and whether it has used
    /// anything.
    Fails(u16, &'static str, &'static str, bool),
    /// It fails after content.
    Breaks(&'static str),
    /// It is complete all the same.
    Completes,
}

use Outcome::{Breaks, Completes, Fails};

impl Fault {
    fn new(name: &'static str, script: Script, outcome: Outcome) -> Self {
        Self {
            name,
            script: Some(script),
            outcome,
            lingers: false,
        }
    }

    /// It says nothing more, and keeps its connection.
    fn lingering(name: &'static str, script: Script, outcome: Outcome) -> Self {
        Self {
            lingers: true,
            ..Self::new(name, script.linger(), outcome)
        }
    }
}

fn faults() -> Vec<Fault> {
    let refuse = |status| Script::reply(status, &[("content-type", "application/json")], ERROR);
    let html = Script::reply("200 OK", &[("content-type", "text/html")], "<p>");
    let silent = Script::silent;
    let said = || Script::stream().event(&role()).event(&text("Hello"));
    let free = |status, code, end| Fails(status, code, end, false);
    let paid = |status, code| Fails(status, code, code, true);
    let unreachable = free(502, "upstream_unreachable", "upstream_unreachable");
    let refused = Fault {
        script: None,
        ..Fault::new("refused", silent(), unreachable)
    };
    let (malformed, late) = (
        paid(502, "upstream_malformed"),
        paid(504, "upstream_timeout"),
    );
    vec![
        refused,
        Fault::new("reset", silent().reset(), unreachable),
        Fault::new("429", refuse("429 No"), free(429, "c", "upstream_error")),
        Fault::new("500", refuse("500 No"), free(500, "c", "upstream_error")),
        Fault::new("HTML", html, malformed),
        Fault::lingering("silence", silent(), late),
        Fault::lingering("silence mid-stream", said(), Breaks("upstream_timeout")),
        Fault::new(
            "cut mid-stream",
            said().reset(),
            Breaks("upstream_truncated"),
        ),
        Fault::new("bad JSON", Script::stream().event("{"), malformed),
        Fault::new("no finish", said().done(), Breaks("upstream_truncated")),
        Fault::new("no [DONE]", said().event(&finish()).end(), Completes),
        Fault::lingering("lingering", said().event(&finish()), Completes),
    ]
}

/// What differs between cells of one fault.
#[derive(Clone, Copy)]
struct Setup {
    has_second: bool,
    is_committed: bool,
}

/// A server, those behind it, and what it writes down.
struct Cell {
    server: TestServer,
    records: Records,
    /// Who fails so that the head is out by then, where the fault itself cannot be late.
    lead: Option<Upstream>,
    first: Option<Upstream>,
    label: String,
    second: Upstream,
    gate: Gate,
}

impl Cell {
    fn of(fault: &Fault, setup: Setup) -> Self {
        let gate = Gate::default();
        let late = |script: Script| match setup.is_committed {
            true => Script::silent().wait(&gate).and(script),
            false => script,
        };
        let first = fault
            .script
            .clone()
            .map(|script| Upstream::play(late(script)));
        let lead = (fault.script.is_none() && setup.is_committed)
            .then(|| Upstream::play(late(Script::silent().reset())));
        let good = Script::stream().event(&role()).event(&text("Hello"));
        let second = Upstream::play(good.event(&finish()).event(&usage()).done());
        let label = first.as_ref().map_or_else(nobody, |first| first.address);
        let mut urls: Vec<_> = lead.iter().map(|lead| lead.address).collect();
        urls.push(label);
        urls.extend(setup.has_second.then_some(second.address));
        let records = Records::new();
        Self {
            server: serve(&urls, &records, setup.is_committed),
            label: label.to_string(),
            records,
            lead,
            first,
            second,
            gate,
        }
    }

    fn ask(&self) -> Reply {
        let mut client = Connection::open(self.server.address());
        client.send(&post(STREAM, &[]));
        let head = client.head();
        self.gate.open();
        let reply = client.rest(head, "");
        wait_until_idle(&self.server);
        reply
    }

    /// Attempts before the one that fails.
    fn leads(&self) -> usize {
        usize::from(self.lead.is_some())
    }

    fn metric(&self, line: &str) -> bool {
        let scraped = fetch(self.server.address(), &request("GET", "/metrics", &[]));
        scraped.text().lines().any(|known| known == line)
    }
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an open socket")
}

fn serve(urls: &[SocketAddr], records: &Records, is_committed: bool) -> TestServer {
    let entries = urls
        .iter()
        .map(|url| format!("{{ base_url = 'http://{url}/v1' }}"));
    let entries = entries.collect::<Vec<_>>().join(", ");
    let (commit, heartbeat) = match is_committed {
        true => ("50ms", "50ms"),
        false => ("1m", "1m"),
    };
    let settings = format!(
        "server.workers = 1\nstream.commit_after = '{commit}'\nstream.heartbeat = '{heartbeat}'\n\
         usage.sink = {}\n[[models]]\nname = '*'\nupstreams = [{entries}]\n\
         first_chunk = '1500ms'\nbetween = '300ms'\nafter_finish = '100ms'\n",
        records.setting()
    );
    spawn(&settings).expect("valid settings")
}

/// What is sent of an answer that breaks off after its content.
fn said() -> String {
    frame(&role()) + &frame(&text("Hello"))
}

/// The end that a cell has, as clients, records and metrics tell it.
struct Expected {
    end: &'static str,
    tokens: Option<(u64, u64)>,
    source: &'static str,
    asked_second: bool,
}

fn expected(fault: &Fault, setup: Setup) -> Expected {
    let estimated = |end, answer| Expected {
        end,
        tokens: Some((PROMPT, answer)),
        source: "estimated",
        asked_second: false,
    };
    match fault.outcome {
        Fails(..) if setup.has_second => Expected {
            end: "completed",
            tokens: Some((3, 2)),
            source: "reported",
            asked_second: true,
        },
        Fails(_, _, end, true) => estimated(end, 0),
        Fails(_, _, end, false) => Expected {
            tokens: None,
            source: "none",
            ..estimated(end, 0)
        },
        Breaks(end) => estimated(end, 1),
        Completes => estimated("completed", 1),
    }
}

fn assert_reply(reply: Reply, fault: &Fault, setup: Setup) {
    let name = fault.name;
    let whole = said() + &frame(&finish());
    if !setup.is_committed
        && !setup.has_second
        && let Fails(status, code, ..) = fault.outcome
    {
        reply.assert_refused(status, code);
        return;
    }
    // The head is out before anything fails, and heartbeats may have gone with it.
    let beats = reply.text().matches(":\n\n").count();
    assert_eq!(beats > 0, setup.is_committed, "{name}: {}", reply.text());
    let body = reply.text().replace(":\n\n", "").into_bytes();
    let reply = Reply { body, ..reply };
    match fault.outcome {
        Fails(..) if setup.has_second => reply.assert_streams(&whole),
        Fails(_, code, ..) => drop(reply.assert_breaks_off("", code)),
        Breaks(code) => drop(reply.assert_breaks_off(&said(), code)),
        Completes => reply.assert_streams(&whole),
    }
    assert_eq!(reply.text().matches(DONE).count(), 1, "{name}");
}

fn assert_record(cell: &Cell, expected: &Expected, name: &str) {
    let record = cell.records.wait_for(1)[0].clone();
    let attempts = cell.leads() + 1 + usize::from(expected.asked_second);
    let upstream = match expected.asked_second {
        true => cell.second.address.to_string(),
        false => cell.label.clone(),
    };
    let (prompt, answer) = expected.tokens.unzip();
    for (member, value) in [
        ("end", json!(expected.end)),
        ("attempts", json!(attempts)),
        ("upstream", json!(upstream)),
        ("prompt_tokens", json!(prompt)),
        ("completion_tokens", json!(answer)),
        ("usage_source", json!(expected.source)),
    ] {
        assert_eq!(record[member], value, "{name}, {member}: {record}");
    }
}

fn assert_counted(cell: &Cell, fault: &Fault, expected: &Expected) {
    let (label, second) = (&cell.label, cell.second.address);
    let mut lines = vec![
        format!(
            "tokenfall_completions_total{{model=\"*\",end=\"{}\"}} 1",
            expected.end
        ),
        format!("tokenfall_attempts_total{{upstream=\"{label}\"}} 1"),
        "tokenfall_streams_open{state=\"waiting\"} 0".to_owned(),
        "tokenfall_streams_open{state=\"streaming\"} 0".to_owned(),
        "tokenfall_readers 0".to_owned(),
    ];
    if let Fails(_, _, end, _) | Breaks(end) = fault.outcome {
        let cause = match (end, fault.outcome) {
            ("upstream_timeout", Fails(..)) => "first_chunk_timeout",
            ("upstream_timeout", _) => "between_timeout",
            (end, _) => end,
        };
        lines.push(format!(
            "tokenfall_attempt_failures_total{{upstream=\"{label}\",cause=\"{cause}\"}} 1"
        ));
    }
    if expected.asked_second {
        lines.push(format!(
            "tokenfall_attempts_total{{upstream=\"{second}\"}} 1"
        ));
    }
    for line in lines {
        assert!(cell.metric(&line), "{}: {line}", fault.name);
    }
}

fn assert_cells(setup: Setup) {
    for fault in faults() {
        let name = fault.name;
        let cell = Cell::of(&fault, setup);
        let expected = expected(&fault, setup);
        assert_reply(cell.ask(), &fault, setup);
        // Counted at the sockets: each is asked once, or not at all.
        let asked = |upstream: &Upstream| upstream.counts().1;
        assert_eq!(cell.first.as_ref().map_or(1, asked), 1, "{name}");
        assert_eq!(
            asked(&cell.second),
            usize::from(expected.asked_second),
            "{name}"
        );
        assert_record(&cell, &expected, name);
        assert_counted(&cell, &fault, &expected);
        if let (true, Some(first)) = (fault.lingers, &cell.first) {
            first.departure();
        }
        let Cell {
            server, records, ..
        } = cell;
        server.stop();
        assert_eq!(records.text().lines().count(), 1, "{name}: once");
    }
}

#[test]
fn one_upstream_before_the_commit() {
    assert_cells(Setup {
        has_second: false,
        is_committed: false,
    });
}

#[test]
fn one_upstream_after_the_commit() {
    assert_cells(Setup {
        has_second: false,
        is_committed: true,
    });
}

#[test]
fn two_upstreams_before_the_commit() {
    assert_cells(Setup {
        has_second: true,
        is_committed: false,
    });
}

#[test]
fn two_upstreams_after_the_commit() {
    assert_cells(Setup {
        has_second: true,
        is_committed: true,
    });
}
