//! A cursor is what it says it is, or is refused.
#![no_main]

#[path = "../../src/stream/cursor.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is tried here")]
mod cursor;

use cursor::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(cursor) = text.parse::<Cursor>() else {
        return;
    };
    assert!(cursor.epoch >= 1);
    assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
});
