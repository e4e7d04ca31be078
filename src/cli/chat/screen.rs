//! The answer on standard output, everything else on standard error.
//!
//! What a model or a server says is never written to a terminal as it is: it could move the cursor, change
//! the title or have the terminal type. Control characters are shown as numbers there.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use crate::{cli::warn, config};

/// What was written last, if its line goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Answer,
    Thought,
}

/// Where an answer is shown.
#[derive(Debug)]
pub(super) struct Screen {
    shows_answer: bool,
    shows_rest: bool,
    has_colour: bool,
    open: Open,
    ends_line: bool,
}

impl Screen {
    /// The process's own.
    pub(super) fn new() -> Self {
        let is_dumb = config::variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            shows_answer: io::stdout().is_terminal(),
            shows_rest: io::stderr().is_terminal(),
            has_colour: config::variable("NO_COLOR").is_none() && !is_dumb,
            open: Open::Nothing,
            ends_line: true,
        }
    }

    /// More of the answer.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn answer(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open == Open::Thought {
            warn("\n\n");
        }
        self.open = Open::Answer;
        self.ends_line = text.ends_with('\n');
        match self.shows_answer {
            true => write(harmless(text).as_bytes()),
            false => write(text.as_bytes()),
        }
    }

    /// The answer is over: its last line gets an end.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn end_answer(&mut self) -> io::Result<()> {
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        match open {
            Open::Answer if !std::mem::replace(&mut self.ends_line, true) => write(b"\n"),
            Open::Thought => {
                warn("\n");
                Ok(())
            }
            Open::Answer | Open::Nothing => Ok(()),
        }
    }

    /// A line of the stream itself, after what is said of it.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn raw(&mut self, margin: &str, line: &[u8]) -> io::Result<()> {
        if !self.shows_answer {
            return write(&[margin.as_bytes(), line, b"\n"].concat());
        }
        let line = String::from_utf8_lossy(line);
        let margin = self.dim(margin);
        write(format!("{margin}{}\n", harmless(&line)).as_bytes())
    }

    /// More of what the model thinks.
    pub(super) fn thought(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.break_line();
        self.open = Open::Thought;
        let text = self.for_people(text);
        match self.shows_rest {
            true => warn(&self.dim(&text)),
            false => warn(&text),
        }
    }

    /// Something beside the answer, on a line of its own.
    pub(super) fn note(&mut self, text: &str) {
        if self.open == Open::Thought {
            warn("\n");
            self.open = Open::Nothing;
        }
        self.break_line();
        warn(&format!("tokenfall: {}\n", self.for_people(text)));
    }

    /// Asks for a line.
    pub(super) fn ask(&mut self) {
        warn("> ");
    }

    /// Ends the line that was asked for, where nobody did.
    pub(super) fn leave(&mut self) {
        warn("\n");
    }

    /// Where both are seen on one terminal, a line of the answer is not gone on with in that of a note.
    fn break_line(&mut self) {
        if self.open == Open::Answer && !self.ends_line && self.shows_answer && self.shows_rest {
            warn("\n");
            self.ends_line = true;
        }
    }

    fn for_people<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.shows_rest {
            true => harmless(text),
            false => Cow::Borrowed(text),
        }
    }

    fn dim(&self, text: &str) -> String {
        match self.has_colour {
            true => format!("\x1b[2m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// The text without anything that a terminal obeys: line ends and tabs stay.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeys = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(obeys) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Of a CR LF nothing is lost.
            '\r' => {}
            c if obeys(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let cases = [
            ("plain é 🌊\n\ttext", "plain é 🌊\n\ttext"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("one\r\ntwo\rthree", "one\ntwothree"),
            ("a\u{8}b\u{7f}c\0", "a\\u{8}b\\u{7f}c\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ];
        for (text, expected) in cases {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
        let all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        let left: Vec<_> = harmless(&all).chars().filter(|c| c.is_control()).collect();
        assert_eq!(left, ['\t', '\n']);
    }
}
