//! The stream as it comes: every line, comments too, with the time since the one before.

use std::io;

use bytes::Bytes;
use tokio::time::Instant;

use super::screen::Screen;
use crate::sse::Lines;

/// The longest line that is shown, in bytes.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// What shows a stream. Each connection has its own lines.
#[derive(Debug)]
pub(super) struct Raw {
    lines: Lines,
    last: Instant,
}

impl Raw {
    /// The first line counts from now.
    pub(super) fn new() -> Self {
        Self {
            lines: Lines::new(MAX_LINE),
            last: Instant::now(),
        }
    }

    /// Shows the lines that are whole with this read.
    ///
    /// # Errors
    /// When nobody takes them.
    pub(super) fn show(&mut self, read: &Bytes, screen: &mut Screen) -> io::Result<()> {
        self.lines.push(read.clone());
        while let Some(line) = self.lines.next() {
            // Whoever decodes the same bytes says that an event is too large.
            let Ok(line) = line else { break };
            let margin = match line.is_empty() {
                true => String::new(),
                false => self.margin(),
            };
            screen.raw(&margin, &line)?;
        }
        Ok(())
    }

    /// Shows what came of a line that a lost connection cut.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn cut(&mut self, screen: &mut Screen) -> io::Result<()> {
        let lines = std::mem::replace(&mut self.lines, Lines::new(MAX_LINE));
        match lines.unfinished() {
            [] => Ok(()),
            unfinished => screen.raw(&self.margin(), unfinished),
        }
    }

    fn margin(&mut self) -> String {
        let last = std::mem::replace(&mut self.last, Instant::now());
        format!("{:>6} ms  ", (self.last - last).as_millis())
    }
}
