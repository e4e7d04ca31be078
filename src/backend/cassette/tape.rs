//! One exchange on its way into a cassette.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Cassette, Cassettes, MAX_BODY, MAX_FRAMES, Request, Response};
use crate::backend::{Headers, frame::RawFrame};

/// Headers of a reply that are kept. No other is, and none of a request's.
const KEPT: [&str; 6] = [
    "content-type",
    "openai-processing-ms",
    "openai-version",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
];
/// So do others that are kept begin.
const KEPT_PREFIX: &str = "x-ratelimit-";
/// Secrets shorter than this could be any word.
const SHORTEST_SECRET: usize = 8;
const SENTINEL: &[u8] = b"[DONE]";

/// Takes down what an upstream sends. It is kept at the reply's end; a reply that breaks off is
/// not kept, for a cassette is always a whole exchange.
#[derive(Debug)]
pub struct Tape {
    cassettes: Arc<Cassettes>,
    request: Request,
    status: u16,
    headers: Headers,
    frames: Vec<RawFrame>,
    bytes: usize,
    started: Instant,
    // Milliseconds from the start to the last frame; sums of rounded gaps would drift.
    last: u64,
    secrets: Vec<String>,
    has_ended: bool,
}

impl Tape {
    /// Of a request that is sent now, to this path with this body. The secrets that it is sent
    /// with are made unreadable wherever they come back.
    ///
    /// # Errors
    /// Where the body is no JSON.
    pub fn start(
        cassettes: &Arc<Cassettes>,
        (path, body): (&str, &[u8]),
        secrets: Vec<String>,
    ) -> Result<Self, serde_json::Error> {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|secret| secret.strip_prefix("Bearer ").unwrap_or(secret).to_owned())
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .collect();
        let mut body = body.to_vec();
        mask(&mut body, &secrets);
        Ok(Self {
            cassettes: Arc::clone(cassettes),
            request: Request::new(path, &body)?,
            status: 0,
            headers: Vec::new(),
            frames: Vec::new(),
            bytes: 0,
            started: Instant::now(),
            last: 0,
            secrets,
            has_ended: false,
        })
    }

    /// The reply's head has come.
    pub fn head<'a>(&mut self, status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>) {
        self.status = status;
        let is_kept = |name: &str| KEPT.contains(&name) || name.starts_with(KEPT_PREFIX);
        let kept = headers.filter(|(name, _)| is_kept(name));
        let kept = kept.map(|(name, value)| {
            let mut value = value.as_bytes().to_vec();
            mask(&mut value, &self.secrets);
            (
                name.to_owned(),
                String::from_utf8_lossy(&value).into_owned(),
            )
        });
        self.headers = kept.collect();
        self.headers.sort();
        // A file has each name once.
        self.headers.dedup_by(|second, first| second.0 == first.0);
    }

    /// So much of the body was read at once.
    pub fn frame(&mut self, bytes: &Bytes) {
        self.bytes += bytes.len();
        if self.is_over() {
            self.frames = Vec::new();
            return;
        }
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let after = Duration::from_millis(now - self.last);
        self.last = now;
        self.frames.push(RawFrame {
            after,
            bytes: bytes.clone(),
        });
    }

    /// The body has ended.
    pub fn end(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if self.is_over() {
            tracing::warn!(
                bytes = self.bytes,
                frames = self.frames.len(),
                "an exchange is too large for a cassette and is not kept"
            );
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        mask_frames(&mut frames, &self.secrets);
        let cassette = Cassette {
            request: self.request.clone(),
            response: Response {
                status: self.status,
                headers: std::mem::take(&mut self.headers),
                frames,
            },
        };
        // Written here, though it holds up the thread: whoever has seen the end of the reply may
        // rely on the file, and recording is no matter of speed.
        match self.cassettes.keep(cassette) {
            Ok(kept) => tracing::info!(cassette = kept.name(), "an exchange was kept"),
            Err(error) => tracing::error!(%error, "an exchange could not be kept"),
        }
    }

    fn is_over(&self) -> bool {
        self.bytes > MAX_BODY || self.frames.len() >= MAX_FRAMES
    }

    /// An event stream's last word is there, if not its end of file.
    fn has_said_all(&self) -> bool {
        let last = self.frames.iter().rev().take(2).rev();
        let end: Vec<u8> = last.flat_map(|frame| frame.bytes.to_vec()).collect();
        end.trim_ascii_end().ends_with(SENTINEL)
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if self.has_said_all() {
            return self.end();
        }
        tracing::warn!("an exchange broke off and is not kept");
    }
}

/// Overwrites the secrets, wherever they stand.
fn mask(bytes: &mut [u8], secrets: &[String]) {
    for secret in secrets {
        let found: Vec<_> = memchr::memmem::find_iter(bytes, secret).collect();
        for at in found {
            bytes[at..at + secret.len()].fill(b'*');
        }
    }
}

/// The same where a secret may lie across frames.
fn mask_frames(frames: &mut [RawFrame], secrets: &[String]) {
    let mut whole: Vec<u8> = frames.iter().flat_map(|f| f.bytes.to_vec()).collect();
    let before = whole.clone();
    mask(&mut whole, secrets);
    if whole == before {
        return;
    }
    let mut rest = Bytes::from(whole);
    for frame in frames {
        frame.bytes = rest.split_to(frame.bytes.len());
    }
}
