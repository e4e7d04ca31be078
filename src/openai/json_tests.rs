//! The walk against the grammar and against `serde_json`.

use super::*;
use proptest::prelude::*;

fn validates(bytes: &[u8]) -> bool {
    let mut walk = Walk::new(bytes);
    walk.value().is_ok() && walk.end().is_ok()
}

#[test]
fn accepts_and_refuses_what_rfc_8259_does() {
    let good = [
        "0",
        "-0",
        "1.5e+3",
        "true",
        "null",
        "\"\"",
        "\"\\u00e9\\n\"",
        "[]",
        "{}",
        " [1, {\"a\" : [ ] } ]\n",
        "\"🌊\"",
    ];
    let bad = [
        "",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "[1 2]",
        "{} x",
        "nul",
        "[",
        "{\"a\":1",
        "'a'",
    ];
    for text in good {
        assert!(validates(text.as_bytes()), "{text}");
    }
    for text in bad {
        assert!(!validates(text.as_bytes()), "{text}");
    }
    assert!(!validates(b"\"\xff\""), "bad UTF-8");
    assert!(!validates(b"\"\xf0\x9f\x8c\""), "cut UTF-8");
}

#[test]
fn nesting_at_the_limit_passes_and_one_more_is_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(validates(nested(usize::from(MAX_DEPTH)).as_bytes()));
    assert!(!validates(nested(usize::from(MAX_DEPTH) + 1).as_bytes()));
    assert!(!validates(nested(100_000).as_bytes()));
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{}:,\"a\\\\u0-9eE.+\\- \n\u{1}é]{0,12}") {
        let expected = serde_json::from_str::<serde_json::Value>(&text);
        // serde_json refuses lone surrogates and numbers out of range, which are valid by the grammar.
        if let Err(error) = &expected
            && (error.to_string().contains("surrogate") || error.to_string().contains("out of range")
                || error.to_string().contains("hex escape"))
        {
            return Ok(());
        }
        prop_assert_eq!(validates(text.as_bytes()), expected.is_ok());
    }
}
