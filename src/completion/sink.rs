//! Where usage records go: one thread writes them, a line each, and nobody waits for it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write, stdout},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use serde::Serialize;

use super::UsageSettings;

/// The most lines that are written at once.
const AT_ONCE: usize = 256;

/// Takes records and forgets about them.
#[derive(Debug, Clone)]
pub struct Sink(Option<Queue>);

#[derive(Debug, Clone)]
struct Queue {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    // Everything before it is to be written, and then this told.
    Flush(SyncSender<()>),
}

impl Sink {
    /// The sink that the settings name. A file is made if it is not there, and written at its end.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread be had.
    pub fn open(settings: &UsageSettings) -> io::Result<Self> {
        let output = match &settings.sink[..] {
            "" => return Ok(Self(None)),
            "stdout" => Output::Stdout,
            path => Output::file(Path::new(path))?,
        };
        let (lines, queue) = sync_channel(settings.queue);
        let dropped: Arc<AtomicU64> = Arc::default();
        let writer = Writer {
            output,
            dropped: Arc::clone(&dropped),
        };
        let thread = thread::Builder::new().name("usage".to_owned());
        thread.spawn(move || writer.run(&queue))?;
        Ok(Self(Some(Queue { lines, dropped })))
    }

    /// Has a record written, unless too many wait; whether it will be. Where there is no sink, none
    /// is missed.
    pub(super) fn write(&self, record: &impl Serialize) -> bool {
        let Some(queue) = &self.0 else {
            return true;
        };
        // Strings and numbers always serialize.
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        let is_taken = queue.lines.try_send(Message::Line(line)).is_ok();
        if !is_taken {
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Waits until all that was taken is written, `patience` at most. Blocks the thread.
    pub fn flush(&self, patience: Duration) {
        let Some(queue) = &self.0 else {
            return;
        };
        let (tell, told) = sync_channel(1);
        // A full queue is not waited for: there is no send with a time.
        let is_sent = queue.lines.try_send(Message::Flush(tell)).is_ok();
        if !is_sent || told.recv_timeout(patience).is_err() {
            tracing::warn!("not every usage record was written");
        }
    }
}

/// The thread's own.
struct Writer {
    output: Output,
    dropped: Arc<AtomicU64>,
}

enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Writer {
    fn run(mut self, queue: &Receiver<Message>) {
        let mut lines = Vec::new();
        while let Ok(first) = queue.recv() {
            let mut flushed = Vec::new();
            let more = queue.try_iter().take(AT_ONCE);
            for message in [first].into_iter().chain(more) {
                match message {
                    Message::Line(line) => lines.extend(line),
                    Message::Flush(tell) => flushed.push(tell),
                }
            }
            if let Err(error) = self.output.write(&lines) {
                tracing::error!(%error, "usage records were lost");
            }
            lines.clear();
            match self.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                dropped => {
                    tracing::error!(dropped, "usage records were lost: the sink is too slow")
                }
            }
            for tell in flushed {
                // Who asked may have stopped waiting.
                let _ = tell.send(());
            }
        }
    }
}

impl Output {
    fn file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(path)?;
        let path = path.to_owned();
        Ok(Self::File { path, file })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Self::File { path, file } = self
            && has_moved(path, file)
        {
            *self = Self::file(&path.clone())?;
        }
        match self {
            Self::Stdout => {
                let mut stdout = stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Self::File { file, .. } => file.write_all(lines),
        }
    }
}

/// Somebody has taken the file away, as log rotation does.
fn has_moved(path: &Path, file: &File) -> bool {
    let (Ok(named), Ok(open)) = (path.metadata(), file.metadata()) else {
        return true;
    };
    (named.dev(), named.ino()) != (open.dev(), open.ino())
}

#[cfg(test)]
mod tests {
    use std::{io::Read, process::Command};

    use super::*;

    /// A pipe that takes some 64 KiB and then nothing until it is read.
    fn pipe(name: &str) -> PathBuf {
        let name = format!("tokenfall-sink-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        path
    }

    #[test]
    fn a_full_queue_loses_what_does_not_fit_and_says_so() {
        const QUEUE: usize = 3;
        let path = pipe("full");
        // For reading and writing: opening it waits for nobody.
        let mut reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .expect("a pipe");
        let sink = Sink::open(&UsageSettings {
            sink: path.display().to_string(),
            estimate: false,
            queue: QUEUE,
        });
        let sink = sink.expect("a pipe");
        let large = "x".repeat(100_000);
        // The writer takes at most the queue, twice: what it writes, and what waits meanwhile.
        let taken = (0..100).filter(|_| sink.write(&large)).count();
        assert!((QUEUE..=2 * QUEUE + 1).contains(&taken), "{taken}");
        let lost = sink
            .0
            .as_ref()
            .expect("a queue")
            .dropped
            .load(Ordering::Relaxed);
        assert_eq!(usize::try_from(lost), Ok(100 - taken));
        let mut all = vec![0; taken * (large.len() + 3)];
        reader.read_exact(&mut all).expect("what was taken");
        assert_eq!(all.iter().filter(|byte| **byte == b'\n').count(), taken);
        assert!(sink.write(&"small"), "there is room again");
        sink.flush(Duration::from_secs(10));
        let lost = sink
            .0
            .as_ref()
            .expect("a queue")
            .dropped
            .load(Ordering::Relaxed);
        assert_eq!(lost, 0, "it was not logged");
        std::fs::remove_file(path).expect("a pipe");
    }
}
