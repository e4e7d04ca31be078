//! A cassette as text: YAML in one fixed form, so that two of them can be compared line by line.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::Cassette;
use crate::backend::frame::RawFrame;

const HEAD: &str = "# One exchange with a model server, kept by `tokenfall record`.\nversion: 1\n";

impl Cassette {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = HEAD.to_owned();
        text.push_str("request:\n");
        line(&mut text, "  path: ", &quoted(&self.request.path));
        // Alternate: laid out over lines.
        let body = printable(&format!("{:#}", self.request.body));
        line(&mut text, "  body: |\n", &indented(&body, "    "));
        text.push_str("response:\n");
        line(&mut text, "  status: ", &self.response.status.to_string());
        text.push_str(match self.response.headers.is_empty() {
            true => "  headers: {}\n",
            false => "  headers:\n",
        });
        for (name, value) in &self.response.headers {
            line(&mut text, "    ", &format!("{name}: {}", quoted(value)));
        }
        text.push_str(match self.response.frames.is_empty() {
            true => "  frames: []\n",
            false => "  frames:\n",
        });
        for frame in &self.response.frames {
            self::frame(&mut text, frame);
        }
        text
    }
}

fn line(text: &mut String, before: &str, value: &str) {
    text.push_str(before);
    text.push_str(value);
    text.push('\n');
}

fn frame(text: &mut String, frame: &RawFrame) {
    // A String takes whatever is written to it.
    let _ = writeln!(text, "    - after: {}ms", frame.after.as_millis());
    let Ok(bytes) = std::str::from_utf8(&frame.bytes) else {
        line(
            text,
            "      base64: ",
            &BASE64_STANDARD.encode(&frame.bytes),
        );
        return;
    };
    match block(bytes) {
        Some((chomping, lines)) => {
            let lines = indented(lines, "        ");
            let _ = writeln!(text, "      text: |{chomping}\n{lines}");
        }
        None => line(text, "      text: ", &quoted(bytes)),
    }
}

/// How a text is written as a block literal: the indicator of its end, and what is written
/// without its last line end. None where readers could differ about what it says.
fn block(text: &str) -> Option<(&'static str, &str)> {
    let first = text.chars().next()?;
    let is_safe = |c: char| c == '\n' || (is_printable(c) && c != '\t');
    let is_blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    if first.is_whitespace() || !text.chars().all(is_safe) || text.split('\n').any(is_blank) {
        return None;
    }
    Some(match text.strip_suffix('\n') {
        None => ("-", text),
        Some(rest) if rest.ends_with('\n') => ("+", rest),
        Some(rest) => ("", rest),
    })
}

/// Every line but the empty ones, further in.
fn indented(text: &str, by: &str) -> String {
    let lines = text.split('\n').map(|line| match line {
        "" => String::new(),
        line => format!("{by}{line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// In double quotes, with the escapes that JSON and YAML have in common.
fn quoted(text: &str) -> String {
    printable(&serde_json::Value::from(text).to_string())
}

/// JSON with what YAML does not take as it is, and what nobody sees, as escapes.
fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Whether a character can be seen and is taken by every reader of YAML (its section 5.1).
fn is_printable(c: char) -> bool {
    let is_hidden = matches!(c,
        '\0'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    !is_hidden
}
