//! Plans played without a socket.

use super::*;

/// What a plan makes of these frames: all writes, and how it ends.
fn played(plan: Plan, frames: &[&str]) -> (Vec<String>, End) {
    let mut player = Player::new(Arc::new(plan), true);
    for frame in frames {
        player.event(
            Bytes::copy_from_slice(frame.as_bytes()),
            *frame == "data: [DONE]\n\n",
        );
    }
    player.idle();
    player.end();
    let mut writes = Vec::new();
    while let Some(next) = player.next_move() {
        match next {
            Move::Write { bytes, step, .. } => {
                let pieces = bytes.chunks(step);
                writes.extend(pieces.map(|p| String::from_utf8_lossy(p).into_owned()));
            }
            Move::Pause(time) => writes.push(format!("<{time:?}>")),
            Move::End(end) => return (writes, end),
        }
    }
    unreachable!("a body without an end")
}

fn faults(text: &str) -> Plan {
    Plan {
        faults: Fault::list(text).expect("faults"),
        ..Plan::default()
    }
}

fn framing(text: &str) -> Plan {
    Plan {
        framing: text.parse().expect("a framing"),
        ..Plan::default()
    }
}

const A: &str = "data: {\"a\":1}\n\n";
const B: &str = "data: {\"b\":\"é\"}\n\n";
const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE_FRAME: &str = "data: [DONE]\n\n";
const ALL: [&str; 4] = [A, B, FINISH, DONE_FRAME];

#[test]
fn faults_of_events_are_where_they_are_said_to_be() {
    let cases = [
        ("cut@event=2", A.to_owned(), End::Cut),
        ("reset@event=1", String::new(), End::Reset),
        (
            "truncated@event=2",
            format!("{A}data: {{\"b"),
            End::Finished,
        ),
        (
            "malformed@event=1",
            format!("data: {{\"a\":1\n\n{B}{FINISH}{DONE_FRAME}"),
            End::Finished,
        ),
        ("no_finish", format!("{A}{B}{DONE_FRAME}"), End::Finished),
        ("no_done", format!("{A}{B}{FINISH}"), End::Finished),
        (
            "done_twice",
            format!("{A}{B}{FINISH}{DONE_FRAME}{DONE_FRAME}"),
            End::Finished,
        ),
        (
            "duplicate@event=2",
            format!("{A}{B}{B}{FINISH}{DONE_FRAME}"),
            End::Finished,
        ),
        (
            "reorder@event=1",
            format!("{B}{A}{FINISH}{DONE_FRAME}"),
            End::Finished,
        ),
        (
            "reorder@event=4",
            format!("{A}{B}{FINISH}{DONE_FRAME}"),
            End::Finished,
        ),
        (
            "stall@event=2,for=1s",
            format!("{A}<1s>{B}{FINISH}{DONE_FRAME}"),
            End::Finished,
        ),
        ("cut@event=9", ALL.concat(), End::Finished),
    ];
    for (text, expected, end) in cases {
        let (writes, ended) = played(faults(text), &ALL);
        assert_eq!((writes.concat(), ended), (expected, end), "{text}");
    }
    let (writes, _) = played(faults("error@event=2"), &ALL);
    let text = writes.concat();
    assert!(
        text.starts_with(&format!("{A}data: {{\"error\":")),
        "{text}"
    );
    assert!(text.ends_with(DONE_FRAME), "{text}");
    let (writes, _) = played(faults("oversized@event=2"), &ALL);
    assert!(writes.concat().len() > 4 * 1024 * 1024);
}

#[test]
fn faults_of_bytes_are_at_every_place_they_are_said_to_be() {
    let all = ALL.concat();
    for byte in 1..=all.len() {
        let (writes, end) = played(faults(&format!("cut@byte={byte}")), &ALL);
        assert_eq!(end, End::Cut);
        let sent: String = writes.concat();
        assert!(sent.len() >= byte - 1);
        assert_eq!(sent.as_bytes()[..byte - 1].len(), byte - 1);
        let (writes, end) = played(faults(&format!("stall@byte={byte},for=1s")), &ALL);
        assert_eq!(end, End::Finished);
        assert_eq!(writes.iter().filter(|w| *w == "<1s>").count(), 1, "{byte}");
    }
    let (writes, _) = played(faults("stall@byte=3,for=1s"), &[A]);
    assert_eq!(writes, ["da", "<1s>", &A[2..]]);
    let (_, end) = played(faults("reset@byte=999"), &ALL);
    assert_eq!(end, End::Finished);
}

#[test]
fn framings_cut_where_they_say_and_change_nothing_else() {
    let cases: [(&str, &[&str]); 5] = [
        ("event", &ALL),
        ("newlines", &["data: {\"a\":1}\n", "\n"]),
        ("bytes=10", &["data: {\"a\"", ":1}\n\n"]),
        ("coalesce=3", &["data: {\"a\":1}\n\n"]),
        ("crlf", &["data: {\"a\":1}\r", "\n\r", "\n"]),
    ];
    for (text, expected) in cases {
        let frames: &[&str] = if text == "event" { &ALL } else { &[A] };
        assert_eq!(played(framing(text), frames).0, expected, "{text}");
    }
    let (writes, _) = played(framing("coalesce=3"), &ALL);
    assert_eq!(writes.len(), 2);
    for text in [
        "utf8",
        "sweep",
        "bytes=1",
        "newlines",
        "coalesce=2",
        "event",
    ] {
        let mut player = Player::new(Arc::new(framing(text)), true);
        for frame in ALL {
            player.event(Bytes::copy_from_slice(frame.as_bytes()), false);
        }
        player.end();
        let mut bytes = Vec::new();
        while let Some(Move::Write { bytes: more, .. }) = player.next_move() {
            bytes.extend_from_slice(&more);
        }
        assert_eq!(bytes, ALL.concat().as_bytes(), "{text}");
    }
}

#[test]
fn a_character_is_split_after_its_first_byte() {
    let mut player = Player::new(Arc::new(framing("utf8")), true);
    player.event(Bytes::copy_from_slice(B.as_bytes()), false);
    let Some(Move::Write { bytes, .. }) = player.next_move() else {
        unreachable!("a write");
    };
    assert_eq!(bytes.last(), Some(&0xC3));
}

#[test]
fn a_sweep_comes_to_every_place() {
    let mut places = std::collections::BTreeSet::new();
    for seed in 0..A.len() as u64 {
        let plan = Plan {
            seed,
            ..framing("sweep")
        };
        places.insert(played(plan, &[A]).0[0].len());
    }
    assert_eq!(
        places.into_iter().collect::<Vec<_>>(),
        (1..A.len()).collect::<Vec<_>>()
    );
}

#[test]
fn line_ends_comments_and_the_mark_are_put_in() {
    let (writes, _) = played(framing("event,eol=cr,bom,comments"), &[A]);
    assert_eq!(writes.concat(), "\u{feff}: a comment\rdata: {\"a\":1}\r\r");
}

#[test]
fn faults_are_written_down_when_they_happen() {
    let plan = Arc::new(faults("duplicate@event=2;cut@event=3;drip@byte=900,for=1s"));
    let mut player = Player::new(Arc::clone(&plan), true);
    for frame in ALL {
        player.event(Bytes::copy_from_slice(frame.as_bytes()), false);
    }
    player.end();
    assert_eq!(
        plan.delivery.report().faults,
        ["duplicate@event=2", "cut@event=3"]
    );
}
