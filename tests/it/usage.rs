//! Every way to end, and what is written down of it: once, with its usage, and never content;
//! and what is counted of all of them.

mod ends;
mod metrics;
mod sink;

use std::{fs, path::PathBuf, sync::atomic::AtomicU32, sync::atomic::Ordering};

use serde_json::Value;

use crate::gate::wait_until;

/// The file that records go to. Gone with the test.
pub(crate) struct Records(PathBuf);

impl Records {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tokenfall-usage-{}-{number}.jsonl", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The setting that names it, in TOML.
    pub(crate) fn setting(&self) -> String {
        format!("'{}'", self.0.display())
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// The records, once there are so many.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Value> {
        wait_until("the records", || self.text().lines().count() >= count);
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}
