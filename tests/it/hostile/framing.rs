//! Event streams laid out in every way that the standard allows (WHATWG HTML, 9.2).

use crate::{
    chunks::{DONE, STREAM, finish, frame, text},
    proxy::ask,
    upstream::Script,
};

/// What every one of these streams says.
fn expected() -> String {
    frame(&text("one")) + &frame(&text("tw\u{f6} \u{1f30a}")) + &frame(&finish())
}

fn plain() -> String {
    expected() + DONE
}

#[track_caller]
fn assert_is_understood(stream: &str) {
    let reply = ask(Script::stream().chunk(stream).end(), STREAM);
    reply.assert_streams(&expected());
}

#[test]
fn lines_may_end_in_lf() {
    assert_is_understood(&plain());
}

#[test]
fn lines_may_end_in_cr() {
    assert_is_understood(&plain().replace('\n', "\r"));
}

#[test]
fn lines_may_end_in_crlf() {
    assert_is_understood(&plain().replace('\n', "\r\n"));
}

#[test]
fn every_byte_may_come_alone() {
    for stream in [plain(), plain().replace('\n', "\r\n")] {
        let mut script = Script::stream();
        for byte in stream.as_bytes() {
            // A transfer chunk of its own is a read of its own, however TCP delivers it.
            script = script.chunk([*byte]);
        }
        ask(script.end(), STREAM).assert_streams(&expected());
    }
}

#[test]
fn comments_are_dropped() {
    let stream = format!(
        ": hello\n\n{}",
        plain().replace("data:", ":\n: again\ndata:")
    );
    assert_is_understood(&stream);
}

#[test]
fn a_byte_order_mark_is_dropped() {
    assert_is_understood(&format!("\u{feff}{}", plain()));
}

#[test]
fn a_space_after_the_colon_may_be_left_out() {
    assert_is_understood(&plain().replace("data: ", "data:"));
}

#[test]
fn names_ids_and_unknown_fields_are_dropped() {
    let fields = "event: completion.chunk\nid: 7\nretry: 10\nvendor: x\ndata:";
    assert_is_understood(&plain().replace("data:", fields));
}

#[test]
fn events_without_data_mean_nothing() {
    let stream = plain().replace("data:", "event: ping\n\ndata\n\ndata:");
    assert_is_understood(&stream);
}

#[test]
fn json_over_several_lines_stays_as_it_was_laid_out() {
    let spread = text("one").replace(",\"", ",\n\"");
    let lines = spread.replace('\n', "\ndata: ");
    let stream = format!("data: {lines}\n\n{}", frame(&finish()));
    for line_end in ["\n", "\r", "\r\n"] {
        let sent = (stream.clone() + DONE).replace('\n', line_end);
        let reply = ask(Script::stream().chunk(sent).end(), STREAM);
        reply.assert_streams(&stream);
    }
}
