//! What is asked: words of the command line, and what is piped in.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use tokio::sync::mpsc;

/// The most bytes that are read of standard input.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What the command was told to ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// One question.
    Once(String),
    /// Whatever is typed.
    Typed,
}

impl Prompt {
    /// Of these words, and of standard input where it is none that somebody types at.
    ///
    /// # Errors
    /// Why there is nothing to ask.
    pub(super) fn read(words: &[String]) -> Result<Self, String> {
        let is_terminal = io::stdin().is_terminal();
        if words.is_empty() && is_terminal {
            return Ok(Self::Typed);
        }
        let wants_input = words.iter().any(|word| word == "-");
        let words: Vec<_> = words.iter().filter(|word| *word != "-").cloned().collect();
        let input = match wants_input || !is_terminal {
            true => piped()?,
            false => String::new(),
        };
        let parts = [words.join(" "), input];
        let parts: Vec<_> = parts.iter().map(|part| part.trim_end()).collect();
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err("there is nothing to ask: give a prompt, or pipe one in".to_owned());
        }
        Ok(Self::Once(parts.join("\n\n")))
    }
}

fn piped() -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("standard input has more than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "standard input is no UTF-8".to_owned())
}

/// The lines that are typed, until there are no more.
pub(super) fn typed() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    // A thread of its own: a read that waits cannot be cancelled, and a runtime that stops would
    // wait for it.
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while let Ok(1..) = input.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            if sender.blocking_send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
